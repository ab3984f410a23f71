-- YieldToOthers makes the transaction a good neighbor. What it writes goes to the
-- disk bit by bit, and not in one heap at the next checkpoint, for which every
-- commit would wait; its commit waits for nothing, since a purge whose last
-- moment a crash takes back is done again; it counts on one processor.
--
-- name: YieldToOthers :exec
SELECT set_config('backend_flush_after', '256kB', true), set_config('synchronous_commit', 'off', true),
  set_config('max_parallel_workers_per_gather', '0', true);

-- InsertRunPurge stores what a run that deletes rows was told: which to delete,
-- by the moment before which they ended, given in seconds before the run was
-- asked for.
--
-- name: InsertRunPurge :one
INSERT INTO run_purges (run_id, before_at, dry_run)
SELECT r.id, r.created_at - make_interval(secs => @age_seconds::int), @dry_run FROM runs r WHERE r.id = @run_id
RETURNING *;

-- LockRunPurge locks a run that is not over, with what it was told.
--
-- name: LockRunPurge :one
SELECT sqlc.embed(r), p.before_at, p.dry_run FROM runs r JOIN run_purges p ON p.run_id = r.id
WHERE r.id = $1 AND r.finished_at IS NULL
FOR NO KEY UPDATE OF r;

-- GetRunPurge returns what a run that deletes rows was told, and what it left.
--
-- name: GetRunPurge :one
SELECT * FROM run_purges WHERE run_id = $1;

-- MarkPurgeStarted starts a run that is to delete so many rows.
--
-- name: MarkPurgeStarted :exec
UPDATE runs SET status = 'running', started_at = now(), total = @total WHERE id = @id AND status = 'requested';

-- MarkPurgeProgress counts rows into their run, in the transaction that deletes
-- them.
--
-- name: MarkPurgeProgress :exec
UPDATE runs SET total = greatest(total, done + @seen), done = done + @seen, changed = changed + @deleted
WHERE id = @id AND status = 'running';

-- MarkPurgeFailed ends a run that could not do what it was asked.
--
-- name: MarkPurgeFailed :exec
UPDATE runs SET status = 'failed', started_at = coalesce(started_at, now()), finished_at = clock_timestamp(),
  total = done, findings = @findings
WHERE id = @id AND finished_at IS NULL;

-- MarkPurgeFinished ends a run with what it leaves, and returns how long it took.
--
-- name: MarkPurgeFinished :one
WITH purge AS (
  UPDATE run_purges SET remaining = @remaining, oldest_at = @oldest_at WHERE run_id = @id
)
UPDATE runs SET status = 'finished', finished_at = clock_timestamp(), total = done
WHERE id = @id AND status = 'running'
RETURNING extract(epoch FROM finished_at - started_at)::float8 AS took_seconds;
