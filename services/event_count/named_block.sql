-- One row per block, UTC date and learner: the events of some logs that are about the block.
-- event_date is null for events without a usable time, user_id for events of nobody.
--
-- The short names of videos, problems and addresses are made whole with the course's own
-- spelling of ids. A name that the structure does not know counts when it is whole then.
--
-- Reads  course      one row per course run: database, site, course_id, and how it spells ids:
--                    block_prefix, type, name_mark, name; in HTML html_prefix, type, -, name
--        block_name  database, name, block_id: all that the blocks of the structure are called
--        event       what event.sql gives
WITH told AS (
    SELECT
        course.database,
        event.text,
        CAST(event.time AS DATE) AS event_date,
        event.user_id,
        count(*) AS events
    FROM event
    JOIN course ON course.course_id = event.course_id AND course.site = event.site
    GROUP BY 1, 2, 3, 4
),
spelled AS (
    SELECT
        texts.database,
        texts.text,
        CASE
            -- The last of several is the innermost; a draft's branch is not part of its id.
            WHEN texts.text LIKE '%block-v1:%' THEN regexp_replace(
                regexp_extract(
                    replace(texts.text, ' ', '+'),
                    '^(?:.*/)?((?:ccx-)?block-v1:[^/]+[+]type@[^/+]+[+]block@[^/+?#&]+)',
                    1
                ),
                '([+](branch|version)@[^+]+)+',
                ''
            )
            -- In an address / may be written ;_ and two of them may have become one.
            WHEN texts.text LIKE '%i4x:%' THEN regexp_replace(
                regexp_extract(
                    replace(texts.text, ';_', '/'), 'i4x:/+[^/]+/[^/]+/[^/]+/[^/?#&@]+', 0
                ),
                '^i4x:/+',
                'i4x://'
            )
            WHEN texts.text LIKE '%i4x-%'
                THEN regexp_extract(texts.text, 'i4x-[A-Za-z0-9_-]+', 0)
            WHEN texts.text LIKE '%/jump_to_id/%'
                THEN regexp_extract(texts.text, '/jump_to_id/([^/]+)', 1)
            WHEN texts.text LIKE '%/courseware/%/_%'
                THEN course.block_prefix || 'sequential' || course.name_mark
                    || regexp_extract(texts.text, '/courseware/[^/]+/([^/]+)', 1)
            WHEN texts.text LIKE '%/courseware/%'
                THEN course.block_prefix || 'chapter' || course.name_mark
                    || regexp_extract(texts.text, '/courseware/([^/]+)', 1)
            WHEN texts.text LIKE 'video/%' OR texts.text LIKE 'problem/%'
                THEN course.block_prefix || split_part(texts.text, '/', 1) || course.name_mark
                    || split_part(texts.text, '/', 2)
        END AS name
    FROM (SELECT DISTINCT database, text FROM told) AS texts
    JOIN course ON course.database = texts.database
),
known AS (
    SELECT
        spelled.database,
        spelled.text,
        CASE
            WHEN block_name.block_id IS NOT NULL THEN block_name.block_id
            WHEN left(spelled.name, length(course.html_prefix)) = course.html_prefix
                -- The type ends at the first dash: no type of the old days has one in it.
                THEN course.block_prefix
                    || split_part(substr(spelled.name, length(course.html_prefix) + 1), '-', 1)
                    || course.name_mark
                    || regexp_extract(
                        substr(spelled.name, length(course.html_prefix) + 1), '-(.+)$', 1
                    )
            -- A name alone is no id.
            WHEN spelled.name LIKE '%block-v1:%' OR spelled.name LIKE 'i4x:%' THEN spelled.name
        END AS block_id
    FROM spelled
    JOIN course ON course.database = spelled.database
    LEFT JOIN block_name
        ON block_name.database = spelled.database AND block_name.name = spelled.name
)
SELECT
    told.database,
    known.block_id,
    told.event_date,
    told.user_id,
    sum(told.events) AS events
FROM told
JOIN known ON known.database = told.database AND known.text = told.text
-- Ids of the platform have at most 255 characters. One that ends so has no name.
WHERE length(known.block_id) <= 255 AND known.block_id NOT LIKE '%@'
    AND known.block_id NOT LIKE '%/'
GROUP BY 1, 2, 3, 4
