-- logs.event_times: how the events of each log tell their time, and how many of them can.
-- A row is one log and one form of time in it.
--
-- In: log     the events of one log: time, and the JSON kind and text of what was delivered
--             under "time" and "timestamp" where that is not the canonical text
--     bounds  one row: from when (earliest) until when (before) a moment is plausible
SELECT
    source,
    form,
    count(*) AS events,
    count(*) FILTER (WHERE time >= earliest AND time < before) AS usable,
    count(*) FILTER (WHERE time < earliest OR time >= before) AS implausible
FROM (
    SELECT
        source,
        time,
        CASE
            WHEN time IS NULL AND coalesce(time_kind, timestamp_kind, 'NULL') = 'NULL'
                THEN 'missing'
            WHEN time IS NULL AND trim(time_text) = '' THEN 'missing'
            WHEN time IS NULL OR time_kind IN ('BOOLEAN', 'ARRAY') THEN 'unreadable'
            WHEN time_kind = 'VARCHAR' THEN 'iso_other'
            WHEN time_kind = 'OBJECT' THEN 'date_object'
            WHEN time_kind IS NOT NULL THEN 'epoch'
            WHEN timestamp_kind IS NULL THEN 'iso'
            -- With both keys the time was taken from "time", which was canonical.
            WHEN timestamp_read <> time THEN 'iso'
            ELSE 'timestamp_key'
        END AS form
    FROM log
) AS classified
CROSS JOIN bounds
GROUP BY source, form
