-- One row per course run: its dates, its learners, what it is made of.
-- The columns are those of the original's Person_Course.courseprofile, in its order, behind
-- the database of the course run.
--
-- Reads  course                    one row per course run: names, dates, counts of its content
--        person_course             what person_course.sql gives
--        student_courseenrollment  database, user_id, mode, created
WITH learners AS (
    SELECT database,
           sum(registered) AS nregistered, sum(viewed) AS nviewed,
           sum(explored) AS nexplored, sum(certified) AS ncertified
    FROM person_course
    GROUP BY database
),
enrolments AS (
    SELECT enrolment.database,
           min(CAST(enrolment.created AS DATE)) AS registration_open_date,
           count(CASE WHEN enrolment.mode = 'honor' THEN 1 END) AS nhonor,
           count(CASE WHEN enrolment.mode = 'audit' THEN 1 END) AS naudit,
           count(CASE WHEN enrolment.mode = 'verified' THEN 1 END) AS nverified
    FROM student_courseenrollment AS enrolment
    JOIN person_course
        ON person_course.database = enrolment.database
        AND person_course.user_id = enrolment.user_id
    GROUP BY enrolment.database
)
SELECT
    course.database,
    course.course,
    course.database AS dbname,
    course.course_id AS mongoname,
    course.discussiontable,
    enrolments.registration_open_date,
    CAST(course.start_at AS DATE) AS course_launch_date,
    CAST(course.end_at AS DATE) AS course_close_date,
    coalesce(learners.nregistered, 0) AS nregistered_students,
    coalesce(learners.nviewed, 0) AS nviewed_students,
    CASE WHEN learners.nregistered IS NULL THEN 0 ELSE learners.nexplored END
        AS nexplored_students,
    coalesce(learners.ncertified, 0) AS ncertified_students,
    coalesce(enrolments.nhonor, 0) AS nhonor_students,
    coalesce(enrolments.naudit, 0) AS naudit_students,
    coalesce(enrolments.nverified, 0) AS nvertified_students,
    CAST(NULL AS DOUBLE) AS course_effort,
    coalesce(CAST(ceil(course.ndays / 7.0) AS BIGINT), 0) AS course_length,
    course.nchapters,
    course.nvideos,
    course.nhtmls,
    course.nassessments,
    course.nsummative_assessments,
    course.nformative_assessments,
    course.nincontent_discussions,
    course.nactivities,
    CAST(NULL AS VARCHAR(255)) AS best_assessment,
    CAST(NULL AS VARCHAR(255)) AS worst_assessment
FROM course
LEFT JOIN learners ON learners.database = course.database
LEFT JOIN enrolments ON enrolments.database = course.database
ORDER BY course.database
