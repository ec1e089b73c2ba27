-- logs.event_time_repairs: better moments for events whose own time cannot be used.
-- A row is one event. rule says where the moment is from: received_at is the server's clock,
-- which a mobile device's event carries beside the device's own.
--
-- In: log, bounds as in event_times.sql
SELECT source, line, received_at AS time, 'received_at' AS rule
FROM log
CROSS JOIN bounds
WHERE (time IS NULL OR time < earliest OR time >= before)
    AND received_at >= earliest
    AND received_at < before
