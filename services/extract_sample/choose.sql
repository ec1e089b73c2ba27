-- The learners of the sample, one row each: user_id.
-- Within a stratum those come first whose hash is least, so the order of rows plays no part, and
-- learners who are added elsewhere move nobody.
--
-- Reads  candidate  user_id, certified, mode, viewed: all that could be chosen
--        quota      certified, mode, viewed, learners: how many of each stratum
--        seed       seed: one row
SELECT user_id
FROM (
    SELECT
        candidate.user_id,
        quota.learners,
        row_number() OVER (
            PARTITION BY candidate.certified, candidate.mode, candidate.viewed
            ORDER BY md5(concat_ws(':', seed.seed, candidate.user_id)), candidate.user_id
        ) AS place
    FROM candidate
    JOIN quota
        ON quota.certified = candidate.certified
        AND quota.mode = candidate.mode
        AND quota.viewed = candidate.viewed
    CROSS JOIN seed
) AS placed
WHERE place <= learners
