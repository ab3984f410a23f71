-- CountJobs returns how many jobs are in each state that asks for attention,
-- by queue and kind, and how old the oldest is in seconds: since it became due,
-- or, where it is running, since it was started.
--
-- name: CountJobs :many
SELECT queue, kind, state::text AS state, count(*) AS jobs,
  coalesce(max(extract(epoch FROM now() - CASE WHEN state = 'running' THEN attempted_at ELSE scheduled_at END)), 0)::float8
    AS oldest_seconds
FROM river.river_job
WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'discarded')
GROUP BY queue, kind, state
ORDER BY queue, kind, state
LIMIT 1000;
