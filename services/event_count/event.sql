-- One row per event of some logs that is of a course run to be done: when, who, and the text
-- that names the block that the event is about; null where there is none.
-- What names the block is the first of these that there is:
--
--   1  the address of a request, when it has to do with blocks; what was sent along is not asked
--   2  an id under one of the keys of the payload, which are asked in the order below
--   3  video/<id>, the short id of a video event; problem/<id>, that of an answer's first field
--   4  the id of the module in the context
--   5  the address of the browser's page, when it has to do with blocks
--
-- This one is in DuckDB's own SQL: every engine has its own words for JSON and addresses.
--
-- Reads  log     rows of logs.clickstream, of these logs
--        repair  rows of logs.event_time_repairs, likewise
--        course  site, course_id
SELECT
    site,
    course_id,
    user_id,
    -- Plausible is what time_finder calls so: the clocks of phones show any year.
    CASE
        WHEN time >= TIMESTAMPTZ '2011-01-01 00:00:00+00'
            AND coalesce(time < log_day + INTERVAL 3 DAY, true)
        THEN time
    END AS time,
    coalesce(
        CASE WHEN kind LIKE '/%' THEN address_of_block(kind) END,
        CASE
            WHEN has_block_id(payload) AND json_valid(payload)
            THEN trim(list_filter(
                json_extract_string(payload, [
                    '$.problem_id', '$.module_id', '$.block_id', '$.usage_key',
                    '$.component_usage_id', '$.host_component_id', '$.exam_content_id',
                    '$.location', '$.child_id', '$."child-id"', '$.problem', '$.id'
                ]),
                lambda id: has_block_id(id)
            )[1], E' \n\r\t')
        END,
        CASE
            WHEN (kind LIKE '%video%' OR kind LIKE '%transcript%') AND json_valid(payload)
                THEN 'video/' || nullif(trim(payload ->> '$.id', E' \n\r\t'), '')
            -- A form, or a list of a form and a page: input_<id>_<response>_<input>=…
            WHEN payload LIKE 'input%' OR payload LIKE '["input%'
                THEN 'problem/' || nullif(
                    regexp_extract(split_part(payload, '=', 1), 'input_(.+)_[0-9]+_[0-9]+', 1), ''
                )
        END,
        CASE
            WHEN contains(context, '"usage_key"') AND json_valid(context)
            THEN context ->> '$.module.usage_key'
        END,
        address_of_block(page)
    ) AS text
FROM (
    SELECT
        log.site,
        log.course_id,
        log.user_id,
        coalesce(repair.time, log.time) AS time,
        TRY_CAST(
            regexp_extract(log.source, '.*([0-9]{4}-[0-9]{2}-[0-9]{2})', 1) AS DATE
        ) AS log_day,
        coalesce(log.event_type, log.name) AS kind,
        CASE
            WHEN kind LIKE '/%' THEN NULL
            -- Text in text: what is left after the first time may be such text again.
            WHEN log.payload LIKE '"%' THEN log.payload ->> '$'
            ELSE log.payload
        END AS payload,
        log.context,
        log.page
    FROM log
    SEMI JOIN course ON course.site = log.site AND course.course_id = log.course_id
    LEFT JOIN repair ON repair.source = log.source AND repair.line = log.line
    WHERE log.course_id_source <> 'referer'
)
