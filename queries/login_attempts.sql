-- LockLogin makes attempts at one account, and those from one network, wait for
-- each other until the transaction ends. Everybody locks the account first. The
-- transaction's commit does not wait for the disk, or all from one network would
-- wait in line for it: others see what it wrote at once, and it is on the disk
-- before what becomes of the attempt, which comes after it in the log.
--
-- name: LockLogin :exec
SELECT pg_advisory_xact_lock(hashtextextended('loanserve login ' || @name::text, 0)),
  pg_advisory_xact_lock(hashtextextended('loanserve login from ' || @network::text, 0)),
  set_config('synchronous_commit', 'off', true);

-- GetLoginFailures returns what the throttle decides by: how many attempts at the
-- account have failed since the last one that succeeded, within the window, and
-- how many seconds ago the last did; how many from the network have failed within
-- the network's window, up to its limit, and how many seconds ago the first of
-- those did; and whether a refusal was noted within this second. An attempt
-- that was started and not ended counts as failed. It looks at the clock and not
-- at the beginning of the transaction, which is before its lock was granted.
--
-- name: GetLoginFailures :one
WITH account AS (
  SELECT a.attempted_at FROM login_attempts a
  WHERE a.name = @name AND a.attempted_at > clock_timestamp() - make_interval(secs => @window_seconds::int)
    AND a.outcome IN ('started', 'wrong_password', 'unknown_name', 'disabled', 'address_refused')
    AND a.attempted_at > coalesce((SELECT max(s.attempted_at) FROM login_attempts s
      WHERE s.name = @name AND s.outcome = 'succeeded'
        AND s.attempted_at > clock_timestamp() - make_interval(secs => @window_seconds::int)), '-infinity')
), neighbors AS (
  SELECT a.attempted_at FROM login_attempts a
  WHERE a.network = @network AND a.outcome <> 'succeeded' AND a.outcome NOT IN ('throttled', 'abandoned')
    AND a.attempted_at > clock_timestamp() - make_interval(secs => @network_window_seconds::int)
  ORDER BY a.attempted_at DESC LIMIT @network_limit
)
SELECT (SELECT count(*) FROM account) AS account_failures,
  coalesce(extract(epoch FROM clock_timestamp() - (SELECT max(c.attempted_at) FROM account c)), 0)::float8
    AS account_last_seconds,
  (SELECT count(*) FROM neighbors) AS network_failures,
  coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(n.attempted_at) FROM neighbors n)), 0)::float8
    AS network_first_seconds,
  (EXISTS (SELECT FROM login_attempts a WHERE a.name = @name AND a.outcome = 'throttled'
    AND a.attempted_at > clock_timestamp() - interval '1 second')
  OR EXISTS (SELECT FROM login_attempts a WHERE a.network = @network AND a.outcome = 'throttled'
    AND a.attempted_at > clock_timestamp() - interval '1 second'))::boolean AS noted;

-- InsertLoginAttempt stores an attempt to log in.
--
-- name: InsertLoginAttempt :one
INSERT INTO login_attempts (user_id, name, ip, outcome) VALUES (@user_id, @name, @ip, @outcome) RETURNING id;

-- MarkLoginAttempt ends an attempt that was started.
--
-- name: MarkLoginAttempt :exec
UPDATE login_attempts SET outcome = @outcome WHERE id = @id AND outcome = 'started';

-- CountOldLoginAttempts returns how many attempts were made before the moment.
--
-- name: CountOldLoginAttempts :one
SELECT count(*) FROM login_attempts WHERE attempted_at < @before_at;

-- GetOldestLoginAttempt returns when the oldest attempt was made.
--
-- name: GetOldestLoginAttempt :one
SELECT attempted_at FROM login_attempts ORDER BY attempted_at LIMIT 1;

-- DeleteLoginAttemptsBatch deletes the oldest attempts, from after_at on and
-- before before_at, at most row_limit of them, passes over those that somebody
-- holds, and adds them to the counts of their days. It returns how many, and
-- where to go on.
--
-- name: DeleteLoginAttemptsBatch :one
WITH old AS MATERIALIZED (
  SELECT a.id FROM login_attempts a WHERE a.attempted_at >= @after_at AND a.attempted_at < @before_at
  ORDER BY a.attempted_at LIMIT @row_limit FOR UPDATE SKIP LOCKED
), gone AS (
  DELETE FROM login_attempts d WHERE d.id = ANY (ARRAY(SELECT old.id FROM old)) RETURNING d.attempted_at, d.outcome
), counted AS (
  INSERT INTO login_attempt_counts (attempted_on, outcome, attempts)
  SELECT (g.attempted_at AT TIME ZONE 'UTC')::date, g.outcome, count(*) FROM gone g GROUP BY 1, 2 ORDER BY 1, 2
  ON CONFLICT (attempted_on, outcome) DO UPDATE
    SET attempts = login_attempt_counts.attempts + excluded.attempts
)
SELECT count(*) AS deleted, coalesce(max(g.attempted_at), @before_at)::timestamptz AS through_at FROM gone g;
