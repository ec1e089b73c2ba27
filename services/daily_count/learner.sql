-- One row per learner of a course run, as in person_course: who this is, and the days on
-- which this learner was registered, viewed, explored and certified.
--
-- Reads  course    one row per course run: database, course
--        Person_Course.personcourse
--                  one row per learner: course, user_id, explored, certified, YoB, gender,
--                  mode, start_time
--        Person_Course.courseprofile
--                  one row per course run: dbname, nchapters
--        courseware_studentmodule, certificates_generatedcertificate
--                  rows of all these course runs, with database and row (its place in the dump)
--        activity  what activity.sql gives
WITH opened AS (
    SELECT database, student_id AS user_id, min(CAST(created AS DATE)) AS day
    FROM courseware_studentmodule
    GROUP BY database, student_id
),
chapter AS (
    SELECT database, student_id AS user_id, module_id, min(CAST(created AS DATE)) AS day
    FROM courseware_studentmodule
    WHERE module_type = 'chapter' AND module_id IS NOT NULL
    GROUP BY database, student_id, module_id
),
opened_chapter AS (
    SELECT database, user_id, day,
           row_number() OVER (PARTITION BY database, user_id ORDER BY day NULLS LAST) AS place
    FROM chapter
),
half AS (
    SELECT opened_chapter.database, opened_chapter.user_id, opened_chapter.day
    FROM opened_chapter
    JOIN Person_Course.courseprofile ON courseprofile.dbname = opened_chapter.database
    WHERE opened_chapter.place = greatest(1, ceil(courseprofile.nchapters / 2.0))
),
certificate AS (
    SELECT database, user_id, CAST(coalesce(created_date, modified_date) AS DATE) AS day,
           row_number() OVER (PARTITION BY database, user_id ORDER BY row DESC) AS age
    FROM certificates_generatedcertificate
),
home AS (
    SELECT database, user_id, country,
           row_number() OVER (PARTITION BY database, user_id ORDER BY events DESC, country)
               AS place
    FROM activity
    WHERE country <> ''
),
person AS (
    SELECT course.database, personcourse.*,
           year(personcourse.start_time) - personcourse.YoB AS age
    FROM Person_Course.personcourse
    JOIN course ON course.course = personcourse.course
)
SELECT
    person.database,
    person.explored,
    person.certified,
    person.start_time AS registered_on,
    opened.day AS viewed_on,
    half.day AS explored_on,
    certificate.day AS certified_on,
    CASE WHEN person.mode <> '' THEN person.mode ELSE 'Unknown' END AS mode,
    CASE
        WHEN person.age < 0 THEN 'Unknown'
        WHEN person.age < 12 THEN 'Less than 12'
        WHEN person.age <= 15 THEN '12-15'
        WHEN person.age <= 18 THEN '16-18'
        WHEN person.age <= 22 THEN '19-22'
        WHEN person.age <= 25 THEN '23-25'
        WHEN person.age <= 30 THEN '26-30'
        WHEN person.age <= 40 THEN '31-40'
        WHEN person.age <= 50 THEN '41-50'
        WHEN person.age > 50 THEN 'Over 50'
        ELSE 'Unknown'
    END AS age,
    coalesce(home.country, 'Unknown') AS country,
    CASE person.gender
        WHEN 'm' THEN 'Male' WHEN 'f' THEN 'Female' WHEN 'o' THEN 'Other' ELSE 'Unspecified'
    END AS gender
FROM person
LEFT JOIN opened
    ON opened.database = person.database AND opened.user_id = person.user_id
LEFT JOIN half
    ON half.database = person.database AND half.user_id = person.user_id
LEFT JOIN certificate
    ON certificate.database = person.database AND certificate.user_id = person.user_id
    AND certificate.age = 1
LEFT JOIN home
    ON home.database = person.database AND home.user_id = person.user_id AND home.place = 1
