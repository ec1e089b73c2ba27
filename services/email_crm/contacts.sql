-- One row per learner and course run for which a preference was delivered: the contact list.
-- The columns are those of the original's emailcrm_<time>.csv, in its order.
--
-- Reads  export                        one row: year, that of the export
--        course                        one row per course run of production: database, course (its
--                                      key), course_id, name, start_date
--        auth_user, auth_userprofile   rows of all these course runs, with database and row (its
--                                      place in the dump)
--        preference                    user_id (null before 2017), email, full_name, course_id,
--                                      is_opted_in_for_email, preference_set_datetime
--        countries_io                  country_code, country_name
--        Person_Course.personcourse    course (its key), user_id, viewed, explored, certified,
--                                      mode, start_time
WITH account AS (
    SELECT database, id, email, is_staff, is_active,
           row_number() OVER (PARTITION BY database, id ORDER BY row DESC) AS age
    FROM auth_user
),
profile AS (
    SELECT database, user_id, gender, year_of_birth, level_of_education, country,
           row_number() OVER (PARTITION BY database, user_id ORDER BY row DESC) AS age
    FROM auth_userprofile
),
wish AS (
    SELECT course.database, preference.user_id, lower(preference.email) AS address,
           trim(TRAILING '.' FROM preference.email) AS email,
           trim(preference.full_name) AS full_name,
           preference.is_opted_in_for_email AS is_opted_in,
           -- What edX writes for a learner who never chose.
           nullif(preference.preference_set_datetime, TIMESTAMP '2014-12-01 00:00:00') AS chosen_at
    FROM preference
    JOIN course ON course.course_id = preference.course_id
),
wish_of AS (
    SELECT account.id, wish.*
    FROM wish
    JOIN account ON account.database = wish.database AND account.id = wish.user_id
    WHERE account.age = 1
    UNION ALL
    SELECT account.id, wish.*
    FROM wish
    JOIN account ON account.database = wish.database AND lower(account.email) = wish.address
    WHERE account.age = 1 AND wish.user_id IS NULL
),
latest_wish AS (
    SELECT id, database, email, full_name, is_opted_in, chosen_at,
           instr(full_name, ' ') AS gap,
           row_number() OVER (
               PARTITION BY database, id
               ORDER BY chosen_at DESC NULLS LAST, is_opted_in, email, full_name
           ) AS age
    FROM wish_of
)
SELECT
    account.id AS user_id,
    CASE WHEN account.is_staff THEN 'Yes' ELSE 'No' END AS is_staff,
    CASE WHEN account.is_active THEN 1 WHEN NOT account.is_active THEN 0 END AS is_active,
    latest_wish.email,
    personcourse.viewed,
    personcourse.explored,
    personcourse.certified,
    personcourse.mode,
    trim(TRAILING chr(92) FROM translate(split_part(latest_wish.full_name, ' ', 1), '�,', ''))
        AS first_name,
    CASE
        WHEN latest_wish.gap = 0 THEN ''
        ELSE trim(TRAILING chr(92) FROM substr(
            trim(translate(
                substr(latest_wish.full_name, latest_wish.gap), concat('�,|', chr(127)), ''
            )), 1, 30
        ))
    END AS last_name,
    course.course AS course_id,
    course.name AS course_name,
    course.start_date AS course_start_date,
    substr(CAST(personcourse.start_time AS VARCHAR(10)), 9, 2) || '/'
        || substr(CAST(personcourse.start_time AS VARCHAR(10)), 6, 2) || '/'
        || substr(CAST(personcourse.start_time AS VARCHAR(10)), 1, 4) AS enrolled,
    CASE
        WHEN latest_wish.is_opted_in
            AND latest_wish.chosen_at IS NOT NULL
            AND profile.user_id IS NOT NULL
            -- Who turns 15 in the year of the export may still be 14.
            AND (profile.year_of_birth IS NULL OR export.year - profile.year_of_birth > 15)
        THEN 'Yes' ELSE 'No'
    END AS is_opted_in_for_email,
    CASE profile.gender WHEN 'm' THEN 'Male' WHEN 'f' THEN 'Female' WHEN 'o' THEN 'Other' END
        AS gender,
    CASE WHEN profile.year_of_birth > 1900 THEN profile.year_of_birth END AS year_of_birth,
    profile.level_of_education,
    CASE profile.level_of_education
        WHEN 'p' THEN 'Doctorate'
        WHEN 'a' THEN 'Associate degree'
        WHEN 'b' THEN 'Bachelors degree'
        WHEN 'm' THEN 'Masters or professional degree'
        WHEN 'hs' THEN 'Secondary/high school'
        WHEN 'jhs' THEN 'Junior secondary/junior high/middle school'
        WHEN 'el' THEN 'Elementary/primary school'
        WHEN 'none' THEN 'No Formal Education'
        WHEN 'other' THEN 'Other Education'
        WHEN 'p_se' THEN 'Doctorate in science or engineering (no longer used)'
        WHEN 'p_oth' THEN 'Doctorate in another field (no longer used)'
        ELSE 'User did not specify level of education'
    END AS levelofEd,
    countries_io.country_name
FROM latest_wish
JOIN account ON account.database = latest_wish.database AND account.id = latest_wish.id
JOIN course ON course.database = latest_wish.database
JOIN Person_Course.personcourse AS personcourse
    ON personcourse.course = course.course AND personcourse.user_id = latest_wish.id
LEFT JOIN profile
    ON profile.database = latest_wish.database AND profile.user_id = latest_wish.id
    AND profile.age = 1
LEFT JOIN countries_io ON countries_io.country_code = upper(trim(profile.country))
CROSS JOIN export
WHERE latest_wish.age = 1 AND account.age = 1
