-- CountJobs returns how many jobs are in each state that asks for attention,
-- by queue and kind, and how old the oldest is in seconds: since it became due,
-- or, where it is running, since it was started.
--
-- name: CountJobs :many
SELECT queue, kind, state::text AS state, count(*) AS jobs,
  greatest(coalesce(max(extract(epoch FROM now() - CASE WHEN state = 'running' THEN attempted_at ELSE scheduled_at END)), 0), 0)::float8
    AS oldest_seconds
FROM river.river_job
WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'discarded')
GROUP BY queue, kind, state
ORDER BY queue, kind, state
LIMIT 1000;

-- LockWorkerName takes, for as long as the session lasts, the lock by which
-- other workers see that the worker of this name is alive. The server drops it
-- the moment the worker's connection is gone.
--
-- name: LockWorkerName :exec
SELECT pg_advisory_lock(hashtextextended('loanserve worker ' || @worker::text, 0));

-- MarkOrphanedJobsAvailable gives the running jobs of dead workers, of the
-- given kinds, back to the queue, and returns them. A worker is dead when nobody
-- holds the lock of its name. The caller is not: it could take its own lock a
-- second time. It leaves alone what somebody else is giving back at the same
-- moment.
--
-- name: MarkOrphanedJobsAvailable :many
WITH owners AS MATERIALIZED (
  SELECT DISTINCT attempted_by[cardinality(attempted_by)] AS worker
  FROM river.river_job
  WHERE state = 'running' AND kind = ANY(@kinds::text[])
    AND attempted_by[cardinality(attempted_by)] <> @caller::text
), dead AS MATERIALIZED (
  SELECT worker FROM owners
  WHERE pg_try_advisory_xact_lock(hashtextextended('loanserve worker ' || worker, 0))
)
UPDATE river.river_job AS job SET state = 'available', scheduled_at = now()
FROM dead
WHERE job.state = 'running' AND job.kind = ANY(@kinds::text[])
  AND job.attempted_by[cardinality(job.attempted_by)] = dead.worker
RETURNING job.id, job.kind, dead.worker::text AS worker;

-- CountJobsOfKind returns how many jobs of a kind are not over.
--
-- name: CountJobsOfKind :one
SELECT count(*) FROM river.river_job
WHERE kind = $1 AND state IN ('available', 'pending', 'retryable', 'running', 'scheduled');

-- IsQueueWorked says whether a process has reported within the last half hour that it
-- works the queue. Each reports when it starts, and every ten minutes.
--
-- name: IsQueueWorked :one
SELECT EXISTS (
  SELECT FROM river.river_queue WHERE name = $1 AND updated_at >= now() - interval '30 minutes'
) AS worked;

-- ListPausedQueues returns the queues that nobody takes jobs from until they are
-- resumed.
--
-- name: ListPausedQueues :many
SELECT name FROM river.river_queue WHERE paused_at IS NOT NULL ORDER BY name LIMIT 100;

-- ListQueues returns every queue that a process has reported to work within the last
-- day, with when it was paused, and whether somebody reported within the last half hour,
-- by the database's clock. Pausing and resuming count as reports.
--
-- name: ListQueues :many
SELECT name, paused_at, updated_at, updated_at >= now() - interval '30 minutes' AS worked
FROM river.river_queue ORDER BY name LIMIT 100;

-- ListJobs returns the jobs of a queue, kind and state, the oldest first, with the first
-- line of the last error, cut off; empty text is any queue or kind. Without a state it
-- returns those that are not over and those that were given up. It leaves out what they
-- are about.
--
-- name: ListJobs :many
SELECT id, queue, kind, state::text AS state, attempt, max_attempts, created_at, scheduled_at, attempted_at, finalized_at,
  left(split_part(coalesce(errors[cardinality(errors)] ->> 'error', ''), E'\n', 1), 200)::text AS last_error
FROM river.river_job
WHERE (@queue::text = '' OR queue = @queue::text) AND (@kind::text = '' OR kind = @kind::text)
  AND CASE WHEN @state::text = '' THEN state NOT IN ('completed', 'cancelled') ELSE state::text = @state::text END
ORDER BY id LIMIT @row_limit;

-- LockJob locks a job and returns what it is and how far it has come.
--
-- name: LockJob :one
SELECT queue, kind, state::text AS state FROM river.river_job WHERE id = $1 FOR UPDATE;
