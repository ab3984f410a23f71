-- GetServerFacts returns what a session learns about its server and about itself: the
-- versions, the clock, the transport, and whether the login could do more than the role.
--
-- name: GetServerFacts :one
SELECT current_setting('server_version')::text AS version, current_setting('server_version_num')::int AS version_num,
  clock_timestamp()::timestamptz AS clock, pg_is_in_recovery()::bool AS in_recovery,
  session_user::text AS login, current_user::text AS role,
  coalesce((SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = session_user), false)::bool AS superuser,
  coalesce((SELECT s.version FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_backend_pid()), '')::text AS tls;
