-- What the learners of a course run are called: kind (name, username, email) and text.
--
-- Reads  auth_user, auth_userprofile, certificates_generatedcertificate, user_id_map,
--        credit_crediteligibility, post
--               the course run's tables, and its forum posts
--        event  its events
SELECT 'username' AS kind, username AS text FROM auth_user
UNION SELECT 'username', username FROM user_id_map
UNION SELECT 'username', username FROM credit_crediteligibility
UNION SELECT 'username', author_username FROM post
UNION SELECT 'username', username FROM event
UNION SELECT 'email', email FROM auth_user
UNION SELECT 'name', concat_ws(' ', first_name, last_name) FROM auth_user
UNION SELECT 'name', name FROM auth_userprofile
UNION SELECT 'name', name FROM certificates_generatedcertificate
