-- One row per course run, day, dimension and value: the learners who are new in it on that
-- day, and all until then. A value has a row for each day on which somebody is new, and one
-- for the last day that is known of the course run.
-- Dimensions and values are those of the original's plan, which it never filled.
--
-- Reads  learner   what learner.sql gives
--        activity  what activity.sql gives
WITH becoming AS (
    SELECT database, 'categories' AS dimension, 'registered' AS value, registered_on AS day
    FROM learner
    UNION ALL
    SELECT database, 'categories', 'viewed', viewed_on FROM learner
    UNION ALL
    SELECT database, 'categories', 'explored', explored_on FROM learner WHERE explored = 1
    UNION ALL
    SELECT database, 'categories', 'certified', certified_on FROM learner WHERE certified = 1
    UNION ALL
    SELECT database, 'modes', mode, registered_on FROM learner
    UNION ALL
    SELECT database, 'age', age, registered_on FROM learner
    UNION ALL
    SELECT database, 'country', country, registered_on FROM learner
    UNION ALL
    SELECT database, 'gender', gender, registered_on FROM learner
),
counted AS (
    SELECT database, dimension, value, day, count(*) AS learners
    FROM becoming
    WHERE day IS NOT NULL
    GROUP BY database, dimension, value, day
),
known AS (
    SELECT database, day FROM counted
    UNION ALL
    SELECT database, last_day FROM activity
),
ending AS (
    SELECT database, max(day) AS day
    FROM known
    GROUP BY database
),
complete AS (
    SELECT database, dimension, value, day, learners FROM counted
    UNION ALL
    SELECT DISTINCT counted.database, counted.dimension, counted.value, ending.day, 0
    FROM counted
    JOIN ending ON ending.database = counted.database
)
SELECT
    database,
    day AS time,
    dimension,
    value,
    sum(learners) AS new,
    sum(sum(learners)) OVER (PARTITION BY database, dimension, value ORDER BY day) AS cumulative
FROM complete
GROUP BY database, day, dimension, value
