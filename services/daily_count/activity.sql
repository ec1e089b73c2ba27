-- One row per user and country of a course run: the events from there.
-- Users and countries that nobody knows have rows too.
--
-- Reads  course            one row per course run: database, site, course_id
--        logs.clickstream  site, course_id, course_id_source, user_id, ip, source
--        logs.ip_country   ip, country
SELECT
    course.database,
    clickstream.user_id,
    ip_country.country,
    count(*) AS events,
    -- The log's name tells until when there are data; clocks of phones are not to be trusted.
    max(TRY_CAST(
        regexp_extract(clickstream.source, '.*([0-9]{4}-[0-9]{2}-[0-9]{2})', 1) AS DATE
    )) AS last_day
FROM logs.clickstream
JOIN course ON course.course_id = clickstream.course_id AND course.site = clickstream.site
LEFT JOIN logs.ip_country ON ip_country.ip = clickstream.ip
WHERE clickstream.course_id_source <> 'referer'
GROUP BY course.database, clickstream.user_id, ip_country.country
