-- What operators look at: lists over all loans, and figures of a day. Lists that are
-- narrowed by what has no index read a window of the latest rows; whoever pages on
-- reads the next window, so that no request reads a whole table.

-- GetPaymentWindow returns the last id of the window of payments that begins below
-- before_id and has one more than skipped_rows, or no row where fewer are left.
--
-- name: GetPaymentWindow :one
SELECT id FROM payments WHERE id < @before_id ORDER BY id DESC OFFSET @skipped_rows::int LIMIT 1;

-- ListPaymentsInWindow returns the payments of a window that are like this, the
-- latest first; empty text is any status and channel.
--
-- name: ListPaymentsInWindow :many
SELECT * FROM payments
WHERE id < @before_id AND id >= @from_id
  AND (@status::text = '' OR status::text = @status) AND (@channel::text = '' OR channel::text = @channel)
  AND received_on BETWEEN @received_from AND @received_to
ORDER BY id DESC
LIMIT @row_limit;

-- ListPaymentsOfLoan is the same of one loan's.
--
-- name: ListPaymentsOfLoan :many
SELECT * FROM payments
WHERE loan_id = @loan_id AND id < @before_id
  AND (@status::text = '' OR status::text = @status) AND (@channel::text = '' OR channel::text = @channel)
  AND received_on BETWEEN @received_from AND @received_to
ORDER BY id DESC
LIMIT @row_limit;

-- ListPaymentsByReference is the same of those with a reference, of one loan unless
-- that is 0.
--
-- name: ListPaymentsByReference :many
SELECT * FROM payments
WHERE external_ref = @external_ref::text AND id < @before_id AND (@loan_id::bigint = 0 OR loan_id = @loan_id)
  AND (@status::text = '' OR status::text = @status) AND (@channel::text = '' OR channel::text = @channel)
  AND received_on BETWEEN @received_from AND @received_to
ORDER BY id DESC
LIMIT @row_limit;

-- ListRejectedPayments is the same of those that a rule refused.
--
-- name: ListRejectedPayments :many
SELECT * FROM payments
WHERE reason IS NOT NULL AND id < @before_id
  AND (@channel::text = '' OR channel::text = @channel) AND received_on BETWEEN @received_from AND @received_to
ORDER BY id DESC
LIMIT @row_limit;

-- ListReversedPayments is the same of those that were reversed.
--
-- name: ListReversedPayments :many
SELECT * FROM payments
WHERE reversed_at IS NOT NULL AND id < @before_id
  AND (@channel::text = '' OR channel::text = @channel) AND received_on BETWEEN @received_from AND @received_to
ORDER BY id DESC
LIMIT @row_limit;

-- CountPaymentsOfDays returns the payments from from_id up to below to_id, by the day
-- of the time zone on which they were stored, and by channel and status.
--
-- name: CountPaymentsOfDays :many
SELECT (created_at AT TIME ZONE @zone::text)::date AS day_on, channel, status,
  count(*) AS payments, sum(amount_cents)::bigint AS amount_cents
FROM payments
WHERE id >= @from_id AND id < @to_id
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
LIMIT 10000;

-- ListPaymentBatches returns batches, the latest first; empty text is any status.
--
-- name: ListPaymentBatches :many
SELECT * FROM payment_batches
WHERE id < @before_id AND (@status::text = '' OR status::text = @status)
ORDER BY id DESC
LIMIT @row_limit;

-- ListExceptions returns the items of all batches that wait for a person, the oldest
-- batch first, after the given line of the given batch.
--
-- name: ListExceptions :many
SELECT * FROM payment_batch_items
WHERE status = 'exception' AND reason IS NOT NULL AND resolved_at IS NULL AND payment_id IS NULL
  AND (batch_id, line) > (@after_batch::uuid, @after_line::int)
ORDER BY batch_id, line
LIMIT @row_limit;

-- GetAnalysisWindow is GetPaymentWindow for escrow analyses.
--
-- name: GetAnalysisWindow :one
SELECT id FROM escrow_analyses WHERE id < @before_id ORDER BY id DESC OFFSET @skipped_rows::int LIMIT 1;

-- ListAnalysesInWindow returns the analyses of a window, the latest first; empty text
-- is any status.
--
-- name: ListAnalysesInWindow :many
SELECT * FROM escrow_analyses
WHERE id < @before_id AND id >= @from_id AND (@status::text = '' OR status::text = @status)
ORDER BY id DESC
LIMIT @row_limit;

-- ListIDsOfLoansLike returns the loans whose number, or whose own or a borrower's name,
-- is from one text up to below another, byte by byte, without regard to capital letters
-- in names, in order of id after the given one.
--
-- name: ListIDsOfLoansLike :many
SELECT n.id FROM loans n
WHERE n.id > sqlc.arg(after_id)
  AND n.loan_number ~>=~ sqlc.arg(number_from)::text AND n.loan_number ~<~ sqlc.arg(number_to)::text
UNION
SELECT m.id FROM loans m
WHERE m.id > sqlc.arg(after_id)
  AND lower(m.name) ~>=~ sqlc.arg(name_from)::text AND lower(m.name) ~<~ sqlc.arg(name_to)::text
UNION
SELECT lb.loan_id FROM borrowers b JOIN loan_borrowers lb ON lb.borrower_id = b.id
WHERE lb.loan_id > sqlc.arg(after_id)
  AND lower(b.full_name) ~>=~ sqlc.arg(name_from)::text AND lower(b.full_name) ~<~ sqlc.arg(name_to)::text
ORDER BY 1
LIMIT sqlc.arg(row_limit);

-- ListLoansByID returns the loans with the ids, in order of id.
--
-- name: ListLoansByID :many
SELECT * FROM loans WHERE id = ANY(@ids::bigint[]) ORDER BY id LIMIT 1000;

-- ListRunsOfKind is ListRuns for one kind; empty text is any status.
--
-- name: ListRunsOfKind :many
SELECT * FROM runs
WHERE kind = @kind AND id < @before_id AND (@status::text = '' OR status::text = @status)
ORDER BY id DESC
LIMIT @row_limit;

-- ListUnfinishedRuns is ListRuns for a status other than finished.
--
-- name: ListUnfinishedRuns :many
SELECT * FROM runs
WHERE status <> 'finished' AND status::text = @status::text AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListFinishedRunsBefore is ListRuns for those that are finished.
--
-- name: ListFinishedRunsBefore :many
SELECT * FROM runs WHERE status = 'finished' AND id < @before_id ORDER BY id DESC LIMIT @row_limit;

-- ListDocuments returns what is kept for a loan, without its content, the latest first.
--
-- name: ListDocuments :many
SELECT id, kind, title, media_type, octet_length(content)::bigint AS size_bytes, sha256, created_at FROM documents
WHERE loan_id = @loan_id AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListAuthEventsOfKind is ListAuthEvents for one kind.
--
-- name: ListAuthEventsOfKind :many
SELECT * FROM auth_events WHERE kind = @kind AND id < @before_id ORDER BY id DESC LIMIT @row_limit;

-- GetJob returns a job with the first line of its last error, without what it is about.
--
-- name: GetJob :one
SELECT id, queue, kind, state::text AS state, attempt, max_attempts, created_at, scheduled_at, attempted_at, finalized_at,
  left(split_part(coalesce(errors[cardinality(errors)] ->> 'error', ''), E'\n', 1), 200)::text AS last_error
FROM river.river_job WHERE id = $1;

-- ListLatestJobs returns jobs in a state, the latest first, before the given id; empty
-- text is any queue or kind.
--
-- name: ListLatestJobs :many
SELECT id, queue, kind, state::text AS state, attempt, max_attempts, created_at, scheduled_at, attempted_at, finalized_at,
  left(split_part(coalesce(errors[cardinality(errors)] ->> 'error', ''), E'\n', 1), 200)::text AS last_error
FROM river.river_job
WHERE state = CAST(@state::text AS river.river_job_state) AND id < @before_id
  AND (@queue::text = '' OR queue = @queue::text) AND (@kind::text = '' OR kind = @kind::text)
ORDER BY id DESC
LIMIT @row_limit;

-- CountEscrowAttention returns how many loans' latest analysis, of those of the
-- last thirteen months, found a shortage or a deficiency, and what they come to. It
-- reads all analyses.
--
-- name: CountEscrowAttention :one
SELECT count(*) FILTER (WHERE latest.shortage_cents > 0)::bigint AS shortage_loans,
  coalesce(sum(latest.shortage_cents), 0)::bigint AS shortage_cents,
  count(*) FILTER (WHERE latest.deficiency_cents > 0)::bigint AS deficiency_loans,
  coalesce(sum(latest.deficiency_cents), 0)::bigint AS deficiency_cents
FROM (
  SELECT DISTINCT ON (a.loan_id) a.shortage_cents, a.deficiency_cents FROM escrow_analyses a
  WHERE a.status = 'finished' AND NOT a.dry_run AND a.created_at > now() - interval '13 months'
  ORDER BY a.loan_id, a.id DESC
) latest;

-- CountAnalysesDue returns how many loans' next computation year begins by the month
-- up_to_month and is still to be analyzed (see InsertEscrowChunks). It reads all loans.
--
-- name: CountAnalysesDue :one
SELECT count(*) FROM loans l
CROSS JOIN (SELECT @up_to_month::integer AS up_to) asked
CROSS JOIN LATERAL (
  SELECT (extract(year FROM coalesce(l.escrow_year_starts_on, l.boarded_next_due_on)) * 12
    + extract(month FROM coalesce(l.escrow_year_starts_on, l.boarded_next_due_on)) - 1)::integer AS month
) y
WHERE l.status = 'active' AND asked.up_to - y.month >= 12
  AND y.month + (asked.up_to - y.month) / 12 * 12 <= extract(year FROM l.maturity_on) * 12 + extract(month FROM l.maturity_on) - 1
  AND (l.escrow_cents > 0 OR l.escrow_advance_cents > 0 OR l.escrow_payment_cents > 0
    OR EXISTS (SELECT FROM escrow_lines e WHERE e.loan_id = l.id AND e.ended_at IS NULL));

-- GetLongestHeldLoan returns the loan among those that hold money in suspense whose
-- ledger has rested longest, or no row where none holds any. It reads all loans.
--
-- name: GetLongestHeldLoan :one
SELECT id, loan_number, last_effective_on, suspense_cents FROM loans
WHERE suspense_cents > 0 ORDER BY last_effective_on, id LIMIT 1;

-- GetReceivedPayments returns how many of the latest payments from from_id on wait to
-- be posted, and since when the oldest of them.
--
-- name: GetReceivedPayments :one
SELECT count(*) AS payments, coalesce(min(created_at), now())::timestamptz AS oldest_at FROM payments
WHERE id >= @from_id AND status = 'received';

-- ListRecentRuns returns of each kind the run that was asked for last.
--
-- name: ListRecentRuns :many
SELECT * FROM runs
WHERE id IN (
  SELECT (SELECT l.id FROM runs l WHERE l.kind = k.kind ORDER BY l.id DESC LIMIT 1)
  FROM unnest(enum_range(NULL::run_kind)) AS k (kind)
)
ORDER BY kind
LIMIT 50;
