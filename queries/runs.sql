-- InsertRun records a wish that work on the whole portfolio be done for a
-- business date. It returns no row when the principal's idempotency key is taken.
--
-- name: InsertRun :one
INSERT INTO runs (id, kind, as_of_on, requested_by, idempotency_key, request_hash)
VALUES (@id, @kind, @as_of_on, @requested_by, @idempotency_key, @request_hash)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetRun returns one run.
--
-- name: GetRun :one
SELECT * FROM runs WHERE id = $1;

-- GetRunByKey returns the run that a principal asked for under a key.
--
-- name: GetRunByKey :one
SELECT * FROM runs WHERE requested_by = $1 AND idempotency_key = $2;

-- ListRuns returns runs, the latest first, before the given id, at most
-- row_limit of them. Ids are in order of time.
--
-- name: ListRuns :many
SELECT * FROM runs WHERE id < @before_id ORDER BY id DESC LIMIT @row_limit;

-- ListFinishedRuns returns those of the given runs that are over.
--
-- name: ListFinishedRuns :many
SELECT id FROM runs WHERE id = ANY(@ids::uuid[]) AND finished_at IS NOT NULL ORDER BY id LIMIT 10000;

-- LockRunToPlan locks a run that was requested and not yet cut into chunks. It
-- returns no row when it was.
--
-- name: LockRunToPlan :one
SELECT * FROM runs WHERE id = $1 AND status = 'requested' FOR NO KEY UPDATE;

-- InsertCloseChunks cuts the active loans whose books do not reach the business
-- date into ranges of ids of at most chunk_loans loans each, and returns them
-- in order.
--
-- name: InsertCloseChunks :many
INSERT INTO run_chunks (run_id, first_loan_id, last_loan_id, loans)
SELECT @run_id, min(due.id), max(due.id), count(*)
FROM (
  SELECT l.id, (row_number() OVER (ORDER BY l.id) - 1) / @chunk_loans::bigint AS chunk
  FROM loans l
  WHERE l.status = 'active' AND l.as_of_on < @as_of_on::date
) due
GROUP BY due.chunk
ORDER BY due.chunk
RETURNING *;

-- MarkRunPlanned starts a run on that many loans. Without any it is over.
--
-- name: MarkRunPlanned :exec
UPDATE runs SET total = @total::bigint, started_at = now(),
  status = CASE WHEN @total::bigint = 0 THEN 'finished'::run_status ELSE 'running' END,
  finished_at = CASE WHEN @total::bigint = 0 THEN now() END
WHERE id = @id AND status = 'requested';

-- LockRunChunk locks a chunk that is still to be worked, and returns no row when
-- an earlier attempt has worked it.
--
-- name: LockRunChunk :one
SELECT c.last_loan_id, c.loans, r.kind, r.as_of_on, now()::timestamptz AS posted_at
FROM run_chunks c
JOIN runs r ON r.id = c.run_id
WHERE c.run_id = @run_id AND c.first_loan_id = @first_loan_id AND c.finished_at IS NULL
FOR NO KEY UPDATE OF c;

-- LockLoansToClose locks, in order of id, the active loans of a range whose books
-- do not reach the business date.
--
-- name: LockLoansToClose :many
SELECT * FROM loans
WHERE id BETWEEN @first_loan_id AND @last_loan_id AND status = 'active' AND as_of_on < @as_of_on
ORDER BY id
FOR NO KEY UPDATE;

-- MarkDayPassed records that the days up to the business date brought the loans
-- nothing. It returns how many loans it changed.
--
-- name: MarkDayPassed :execrows
UPDATE loans SET as_of_on = @as_of_on WHERE id = ANY(@ids::bigint[]) AND as_of_on < @as_of_on;

-- MarkRunChunkFinished counts a chunk into its run, once. The chunk that makes
-- the count complete ends the run: chunks that finish at the same moment wait
-- for each other at the run's row, so that exactly one of them is the last.
-- Findings beyond the first thousand or so are counted and not kept.
--
-- name: MarkRunChunkFinished :execrows
WITH chunk AS (
  UPDATE run_chunks SET finished_at = now()
  WHERE run_id = @run_id AND first_loan_id = @first_loan_id AND finished_at IS NULL
  RETURNING loans
)
UPDATE runs r SET done = r.done + chunk.loans, changed = r.changed + @changed, failed_count = r.failed_count + @failed,
  findings = CASE WHEN jsonb_array_length(r.findings) < 1000 THEN r.findings || @findings::jsonb ELSE r.findings END,
  status = CASE WHEN r.done + chunk.loans < r.total THEN r.status
    WHEN r.failed_count + @failed > 0 THEN 'failed' ELSE 'finished' END,
  finished_at = CASE WHEN r.done + chunk.loans = r.total THEN clock_timestamp() END
FROM chunk
WHERE r.id = @run_id;

-- ListGivenUpRuns returns the runs over loans that wait to be planned and have no job
-- any more that would. A check that the clock asks for is planned by the job that has
-- stored its run, and that names none: it goes through the portfolio first, which takes
-- seconds where there are many loans.
--
-- name: ListGivenUpRuns :many
SELECT r.id FROM runs r
WHERE r.kind IN ('close_day', 'analyze_escrow', 'disburse_escrow', 'check_integrity') AND r.status = 'requested' AND NOT EXISTS (
  SELECT FROM river.river_job j
  WHERE j.queue IN ('cycle', 'escrow', 'integrity')
    AND j.kind IN ('close_day', 'analyze_portfolio', 'disburse_escrow', 'check_integrity')
    AND (j.args->>'run_id' = r.id::text OR r.kind = 'check_integrity' AND j.kind = 'check_integrity'
      AND j.args->>'run_id' = '00000000-0000-0000-0000-000000000000')
    AND j.state IN ('available', 'pending', 'retryable', 'running', 'scheduled')
)
ORDER BY r.id
LIMIT 100;

-- ListGivenUpRunChunks returns the chunks of runs that wait to be worked and have no
-- job any more that would.
--
-- name: ListGivenUpRunChunks :many
SELECT c.run_id, c.first_loan_id FROM run_chunks c
JOIN runs r ON r.id = c.run_id
WHERE r.status = 'running' AND c.finished_at IS NULL AND NOT EXISTS (
  SELECT FROM river.river_job j
  WHERE j.queue IN ('cycle', 'escrow', 'integrity')
    AND j.kind IN ('close_day_chunk', 'analyze_escrow_chunk', 'disburse_escrow_chunk', 'check_integrity_chunk')
    AND j.args->>'run_id' = c.run_id::text AND j.args->>'first_loan_id' = c.first_loan_id::text
    AND j.state IN ('available', 'pending', 'retryable', 'running', 'scheduled')
)
ORDER BY c.run_id, c.first_loan_id
LIMIT 100;

-- ListLoansToClose returns, in order, the ids of the active loans of a range
-- whose books do not reach the business date.
--
-- name: ListLoansToClose :many
SELECT id FROM loans
WHERE id BETWEEN @first_loan_id AND @last_loan_id AND status = 'active' AND as_of_on < @as_of_on
ORDER BY id
LIMIT 10000;

-- MarkRunGivenUp ends a run that could not be planned. It returns how many it
-- ended: none where somebody else has.
--
-- name: MarkRunGivenUp :execrows
UPDATE runs SET status = 'failed', started_at = now(), finished_at = now(), findings = @findings
WHERE id = @id AND status = 'requested';

-- GetRunToFollow returns a run that is over and that no run with the requester and
-- key follows yet.
--
-- name: GetRunToFollow :one
SELECT r.* FROM runs r
WHERE r.id = @id AND r.finished_at IS NOT NULL AND NOT EXISTS (
  SELECT FROM runs f WHERE f.requested_by = @follower::text AND f.idempotency_key = @key::text
);

-- MarkSchemaCheckFinished ends a run that compared the database with what the
-- migrations make, with how many differences there are.
--
-- name: MarkSchemaCheckFinished :exec
UPDATE runs SET status = 'finished', started_at = @started_at, finished_at = clock_timestamp(),
  total = @found, done = @found, findings = @findings
WHERE id = @id AND status = 'requested';

-- GetLatestSchemaCheck returns when the database was last compared with what the
-- migrations make, and what was found.
--
-- name: GetLatestSchemaCheck :one
SELECT finished_at, findings FROM runs
WHERE kind = 'check_schema' AND status = 'finished'
ORDER BY id DESC
LIMIT 1;
