-- One row per block of a course run and UTC date on which anything happened there.
--
-- Reads  course       one row per course run: database, course_id
--        block        the blocks of the structures: database, block_id, block_type, url_name,
--                     display_name
--        named_block  what named_block.sql gives, of all logs
SELECT
    course.database,
    course.course_id,
    named_block.block_id,
    -- The structure may not know the block (any more): then the id tells its type and name.
    coalesce(
        block.block_type,
        CASE
            WHEN named_block.block_id LIKE 'i4x:%' THEN split_part(named_block.block_id, '/', 5)
            ELSE regexp_extract(named_block.block_id, '[+]type@([^+]+)[+]block@', 1)
        END
    ) AS block_type,
    coalesce(
        block.url_name,
        CASE
            WHEN named_block.block_id LIKE 'i4x:%' THEN split_part(named_block.block_id, '/', 6)
            ELSE regexp_extract(named_block.block_id, '[+]block@(.+)$', 1)
        END
    ) AS url_name,
    block.display_name,
    named_block.event_date,
    sum(named_block.events) AS events,
    count(DISTINCT named_block.user_id) AS learners
FROM named_block
JOIN course ON course.database = named_block.database
LEFT JOIN block
    ON block.database = named_block.database AND block.block_id = named_block.block_id
WHERE named_block.event_date IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6, 7
