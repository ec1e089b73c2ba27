-- One row for each id in a course run's auth_user: what this learner did in this course run.
-- The columns are those of the original's Person_Course.personcourse_<course>, in its order,
-- behind the database of the course run.
--
-- Reads  course                 one row per course run: database, course_id, site, nchapters
--        auth_user, auth_userprofile, student_courseenrollment, courseware_studentmodule,
--        certificates_generatedcertificate, post
--                               rows of all these course runs, with database and row (its
--                               place in the dump)
--        event                  site, course_id, user_id, time, ip
--        ip_country             ip, country
--        certified_status       status: the statuses of a certificate that was earned
WITH profile AS (
    SELECT database, user_id, level_of_education, year_of_birth, gender,
           row_number() OVER (PARTITION BY database, user_id ORDER BY row DESC) AS age
    FROM auth_userprofile
),
enrolment AS (
    SELECT database, user_id, mode, CAST(created AS DATE) AS start_time,
           row_number() OVER (PARTITION BY database, user_id ORDER BY row DESC) AS age
    FROM student_courseenrollment
),
certificate AS (
    SELECT database, user_id, status, TRY_CAST(grade AS DOUBLE) AS grade,
           row_number() OVER (PARTITION BY database, user_id ORDER BY row DESC) AS age
    FROM certificates_generatedcertificate
),
module AS (
    SELECT database,
           student_id AS user_id,
           count(DISTINCT CAST(created AS DATE)) AS ndays_act,
           count(CASE WHEN module_type = 'video' THEN 1 END) AS nplay_video,
           count(DISTINCT CASE WHEN module_type = 'chapter' THEN module_id END) AS nchapters,
           count(CASE WHEN state LIKE '%correct!_map%' ESCAPE '!' THEN 1 END)
               AS attempted_problems
    FROM courseware_studentmodule
    GROUP BY database, student_id
),
posts AS (
    SELECT database, author_id AS user_id, count(*) AS nforum_posts
    FROM post
    GROUP BY database, author_id
),
activity AS (
    SELECT course.database, event.user_id, event.ip,
           count(*) AS nevents, max(event.time) AS last_event
    FROM event
    JOIN course ON course.course_id = event.course_id AND course.site = event.site
    GROUP BY course.database, event.user_id, event.ip
),
events AS (
    SELECT database, user_id,
           sum(nevents) AS nevents, CAST(max(last_event) AS DATE) AS last_event
    FROM activity
    GROUP BY database, user_id
),
countries AS (
    SELECT activity.database, activity.user_id,
           concat_ws(',', array_sort(array_agg(DISTINCT ip_country.country))) AS codes
    FROM activity
    JOIN ip_country ON ip_country.ip = activity.ip
    WHERE ip_country.country <> ''
    GROUP BY activity.database, activity.user_id
),
learner AS (
    SELECT database, id AS user_id, is_staff,
           row_number() OVER (PARTITION BY database, id ORDER BY row DESC) AS age
    FROM auth_user
    WHERE id IS NOT NULL
),
counted AS (
    SELECT learner.database, learner.user_id, learner.is_staff,
           coalesce(module.ndays_act, 0) AS ndays_act,
           coalesce(module.nplay_video, 0) AS nplay_video,
           coalesce(module.nchapters, 0) AS nchapters,
           coalesce(module.attempted_problems, 0) AS attempted_problems,
           coalesce(posts.nforum_posts, 0) AS nforum_posts,
           coalesce(events.nevents, 0) AS nevents,
           events.last_event
    FROM learner
    LEFT JOIN module
        ON module.database = learner.database AND module.user_id = learner.user_id
    LEFT JOIN posts
        ON posts.database = learner.database AND posts.user_id = learner.user_id
    LEFT JOIN events
        ON events.database = learner.database AND events.user_id = learner.user_id
    WHERE learner.age = 1
)
SELECT
    counted.database,
    course.course_id,
    counted.user_id,
    1 AS registered,
    CASE WHEN counted.ndays_act > 0 THEN 1 ELSE 0 END AS viewed,
    CASE
        WHEN counted.nchapters = 0 THEN 0
        WHEN counted.nchapters >= ceil(course.nchapters / 2.0) THEN 1
        WHEN counted.nchapters < ceil(course.nchapters / 2.0) THEN 0
    END AS explored,
    CASE WHEN certified_status.status IS NOT NULL THEN 1 ELSE 0 END AS certified,
    countries.codes AS final_cc_cname,
    profile.level_of_education AS LoE,
    CASE WHEN profile.year_of_birth BETWEEN 1901 AND 2155 THEN profile.year_of_birth END AS YoB,
    profile.gender,
    enrolment.mode,
    CASE WHEN certificate.grade BETWEEN -1e300 AND 1e300 THEN certificate.grade ELSE 0.0 END
        AS grade,
    enrolment.start_time,
    counted.last_event,
    counted.nevents,
    counted.ndays_act,
    counted.nplay_video,
    counted.nchapters,
    counted.nforum_posts,
    CASE WHEN counted.is_staff THEN '1' WHEN NOT counted.is_staff THEN '0' END AS roles,
    counted.attempted_problems,
    CASE
        WHEN counted.nevents = 0
            AND counted.ndays_act + counted.nplay_video + counted.nchapters
                + counted.nforum_posts > 0
        THEN 1 ELSE 0
    END AS inconsistent_flag
FROM counted
JOIN course ON course.database = counted.database
LEFT JOIN profile
    ON profile.database = counted.database AND profile.user_id = counted.user_id
    AND profile.age = 1
LEFT JOIN enrolment
    ON enrolment.database = counted.database AND enrolment.user_id = counted.user_id
    AND enrolment.age = 1
LEFT JOIN certificate
    ON certificate.database = counted.database AND certificate.user_id = counted.user_id
    AND certificate.age = 1
LEFT JOIN certified_status ON certified_status.status = certificate.status
LEFT JOIN countries
    ON countries.database = counted.database AND countries.user_id = counted.user_id
ORDER BY counted.database, counted.user_id
