-- One row per learner and course run that was ever exported: what was exported last, when and
-- in which file. The columns are those of the original's Email_CRM.lastexport, in its order.
--
-- Reads  export                one row: extract_date, extract_file
--        changed               the rows of contacts.sql that are not what was exported last
--        Email_CRM.lastexport  what this gave at the export before; names the columns
SELECT lastexport.*
FROM Email_CRM.lastexport AS lastexport
WHERE NOT EXISTS (
    SELECT 1 FROM changed
    WHERE changed.course_id = lastexport.course_id AND changed.user_id = lastexport.user_id
)
UNION ALL
SELECT changed.*, export.extract_date, export.extract_file
FROM changed
CROSS JOIN export
