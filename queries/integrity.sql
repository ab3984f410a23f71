-- InsertIntegrityCheck stores what a check is to look at.
--
-- name: InsertIntegrityCheck :one
INSERT INTO integrity_checks (id, run_id, complete) VALUES (@id, @run_id, @complete) RETURNING *;

-- GetIntegrityCheck returns a check, and how far it has come.
--
-- name: GetIntegrityCheck :one
SELECT * FROM integrity_checks WHERE id = $1;

-- MarkIntegrityStepDone records that a step of a check is done.
--
-- name: MarkIntegrityStepDone :exec
UPDATE integrity_checks SET steps = steps || @step::text WHERE id = @id AND NOT (steps @> ARRAY[@step::text]);

-- MarkIntegrityLoansChecked counts loans into their check.
--
-- name: MarkIntegrityLoansChecked :exec
UPDATE integrity_checks SET loans = loans + @loans WHERE id = @id;

-- MarkIntegrityCheckFinished ends a check without a run, or one whose run is over and
-- has looked at every loan.
--
-- name: MarkIntegrityCheckFinished :exec
UPDATE integrity_checks c SET finished_at = clock_timestamp()
WHERE c.id = $1 AND c.finished_at IS NULL
  AND (c.run_id IS NULL OR EXISTS (SELECT FROM runs r WHERE r.id = c.run_id AND r.status = 'finished'));

-- ListIntegrityRanges cuts the loans that a check is to look at into ranges of ids, in
-- order, each of about chunk_transactions transactions. A loan counts for least_weight
-- of them at least, so that a range has no more loans than the quotient.
--
-- name: ListIntegrityRanges :many
SELECT min(d.loan_id)::bigint AS first_loan_id, max(d.loan_id)::bigint AS last_loan_id, count(*) AS loans
FROM (
  SELECT v.loan_id, (sum(greatest(v.last_seq, @least_weight::integer)) OVER (ORDER BY v.loan_id) - 1)
    / @chunk_transactions::bigint AS chunk
  FROM loan_integrity v WHERE @complete::boolean OR NOT v.seen
) d
GROUP BY d.chunk
ORDER BY first_loan_id
LIMIT 1000000;

-- InsertRunChunks stores the ranges of loans that a run is cut into, and returns them.
--
-- name: InsertRunChunks :many
INSERT INTO run_chunks (run_id, first_loan_id, last_loan_id, loans)
SELECT @run_id, unnest(@first_loan_id::bigint[]), unnest(@last_loan_id::bigint[]), unnest(@loans::bigint[])
RETURNING *;

-- ListLoansToCheck returns the loans of a range that a check is to look at, with the
-- mark of their state, in order of id.
--
-- name: ListLoansToCheck :many
SELECT sqlc.embed(l), v.state_hash FROM loan_integrity v
JOIN loans l ON l.id = v.loan_id
WHERE l.id BETWEEN @first_loan_id AND @last_loan_id AND (@complete::boolean OR NOT v.seen)
ORDER BY l.id
LIMIT @row_limit;

-- ListIDsOfLoansToCheck returns, in order, the ids of the loans of a range that a check
-- is to look at.
--
-- name: ListIDsOfLoansToCheck :many
SELECT v.loan_id FROM loan_integrity v
WHERE v.loan_id BETWEEN @first_loan_id AND @last_loan_id AND (@complete::boolean OR NOT v.seen)
ORDER BY v.loan_id
LIMIT 10000;

-- ListTransactionsToCheck returns the ledgers of loans, in order.
--
-- name: ListTransactionsToCheck :many
SELECT * FROM transactions
WHERE loan_id = ANY(@ids::bigint[])
ORDER BY loan_id, seq
LIMIT @row_limit;

-- ListPaymentsToCheck returns all payments of loans, in order.
--
-- name: ListPaymentsToCheck :many
SELECT id, loan_id, status, amount_cents, received_on, designation, interest_cents, principal_cents, escrow_cents,
  late_charge_cents, fee_cents, suspense_cents, first_seq, last_seq
FROM payments
WHERE loan_id = ANY(@ids::bigint[])
ORDER BY loan_id, id
LIMIT @row_limit;

-- ListFeesToCheck returns the fees that stand of loans, in order.
--
-- name: ListFeesToCheck :many
SELECT p.loan_id, r.id, r.fee_cents, r.fee_on FROM payments p
JOIN payment_reversals r ON r.payment_id = p.id
WHERE p.loan_id = ANY(@ids::bigint[]) AND r.status = 'posted' AND r.undone_at IS NULL AND r.fee_cents > 0
ORDER BY p.loan_id, r.id
LIMIT @row_limit;

-- ListDisbursementsToCheck returns the money that left escrow of loans, in order.
--
-- name: ListDisbursementsToCheck :many
SELECT loan_id, id, kind, amount_cents, paid_on, returned_on FROM escrow_disbursements
WHERE loan_id = ANY(@ids::bigint[])
ORDER BY loan_id, id
LIMIT @row_limit;

-- ListChangedTerms returns, of loans, those whose terms are not what they must be.
--
-- name: ListChangedTerms :many
SELECT loan_id, what FROM changed_terms
WHERE loan_id = ANY(@ids::bigint[])
ORDER BY loan_id, what
LIMIT 100000;

-- ListCutAnchors returns, of loans, the transactions that an earlier check has seen and
-- that are gone, or not as they were.
--
-- name: ListCutAnchors :many
SELECT a.loan_id, a.seq, a.seen_at FROM integrity_anchors a
WHERE a.loan_id = ANY(@ids::bigint[])
  AND NOT EXISTS (SELECT FROM transactions t WHERE t.loan_id = a.loan_id AND t.seq = a.seq AND t.hash = a.hash)
ORDER BY a.loan_id, a.seq
LIMIT 100000;

-- ListChangedDocuments returns, of loans, the documents whose content does not have
-- their hash.
--
-- name: ListChangedDocuments :many
SELECT loan_id, id FROM documents
WHERE loan_id = ANY(@ids::bigint[]) AND sha256 <> sha256(content)
ORDER BY loan_id, id
LIMIT 100000;

-- ListChangedEscrowFiles returns the files for banks whose content does not have their
-- hash.
--
-- name: ListChangedEscrowFiles :many
SELECT id FROM escrow_files WHERE sha256 <> sha256(content) ORDER BY id LIMIT @row_limit;

-- InsertIntegrityAnchors remembers what was seen of loans and found in order.
--
-- name: InsertIntegrityAnchors :exec
INSERT INTO integrity_anchors (loan_id, seq, hash, state_hash, seen_at)
SELECT unnest(@loan_id::bigint[]), unnest(@seq::integer[]), unnest(@hash::bytea[]), unnest(@state_hash::bigint[]), now()
ON CONFLICT (loan_id, seq) DO UPDATE SET state_hash = excluded.state_hash, seen_at = excluded.seen_at
WHERE integrity_anchors.state_hash <> excluded.state_hash AND integrity_anchors.hash = excluded.hash;

-- InsertIntegrityFindings stores what a check found, or that it still finds it. A loan
-- of zero is none. It returns them, and which of them are new.
--
-- name: InsertIntegrityFindings :many
INSERT INTO integrity_findings AS f (kind, severity, loan_id, subject, details, suggested_action, first_seen_at, last_seen_at)
SELECT s.kind::integrity_kind, s.severity::integrity_severity, nullif(s.loan_id, 0), s.subject, s.details::jsonb, s.action, now(), now()
FROM (
  SELECT unnest(@kind::text[]) AS kind, unnest(@severity::text[]) AS severity, unnest(@loan_id::bigint[]) AS loan_id,
    unnest(@subject::text[]) AS subject, unnest(@details::text[]) AS details, unnest(@suggested_action::text[]) AS action
) s
ON CONFLICT (kind, coalesce(loan_id, 0), subject) WHERE resolved_at IS NULL
DO UPDATE SET last_seen_at = greatest(f.last_seen_at, excluded.last_seen_at), severity = excluded.severity,
  details = excluded.details, suggested_action = excluded.suggested_action
RETURNING f.id, f.kind, f.severity, f.loan_id, (f.first_seen_at = now())::boolean AS is_new;

-- MarkPortfolioFindingsResolved resolves the findings of the kinds whose subject begins
-- so, and which this transaction did not find.
--
-- name: MarkPortfolioFindingsResolved :execrows
UPDATE integrity_findings SET resolved_at = now()
WHERE resolved_at IS NULL AND kind::text = ANY(@kinds::text[]) AND starts_with(subject, @prefix) AND last_seen_at < now();

-- MarkLoanFindingsResolved resolves the findings of the kinds about loans of a range,
-- or about those of the ids only, and which this transaction did not find.
--
-- name: MarkLoanFindingsResolved :execrows
UPDATE integrity_findings SET resolved_at = now()
WHERE resolved_at IS NULL AND kind::text = ANY(@kinds::text[]) AND loan_id BETWEEN @first_loan_id AND @last_loan_id
  AND (@complete::boolean OR loan_id = ANY(@ids::bigint[])) AND last_seen_at < now();

-- ListIntegrityFindings returns findings, the latest first, before the given id, and
-- only those that are asked for: open ones, of a kind, of a severity, of a loan.
--
-- name: ListIntegrityFindings :many
SELECT * FROM integrity_findings
WHERE id < @before_id
  AND (sqlc.narg(open)::boolean IS NULL OR (resolved_at IS NULL) = sqlc.narg(open))
  AND (sqlc.narg(kind)::integrity_kind IS NULL OR kind = sqlc.narg(kind))
  AND (sqlc.narg(severity)::integrity_severity IS NULL OR severity = sqlc.narg(severity))
  AND (sqlc.narg(loan_id)::bigint IS NULL OR loan_id = sqlc.narg(loan_id))
ORDER BY id DESC
LIMIT @row_limit;

-- CountOpenFindings counts what checks found and still find.
--
-- name: CountOpenFindings :many
SELECT kind, severity, count(*) AS findings FROM integrity_findings
WHERE resolved_at IS NULL
GROUP BY kind, severity
ORDER BY kind, severity
LIMIT 1000;

-- ListOpenFindingsOfCheck returns what a check has found or found again, in order, at
-- most row_limit of them.
--
-- name: ListOpenFindingsOfCheck :many
SELECT f.* FROM integrity_findings f
JOIN integrity_checks c ON c.id = @check_id
WHERE f.resolved_at IS NULL AND f.last_seen_at >= c.created_at
ORDER BY f.severity DESC, f.kind, f.loan_id, f.subject, f.id
LIMIT @row_limit;

-- ListLastIntegrityChecks returns the last check that was finished, and the last such
-- one of all loans: when, how many loans it looked at, and how long it took.
--
-- name: ListLastIntegrityChecks :many
SELECT DISTINCT ON (complete) complete, finished_at, loans,
  extract(epoch FROM finished_at - created_at)::float8 AS took_seconds
FROM integrity_checks
WHERE finished_at IS NOT NULL
ORDER BY complete, finished_at DESC
LIMIT 2;

-- GetLedgerTotals returns the sums of the ledger's columns and of the loans' balances.
-- Debits are positive.
--
-- name: GetLedgerTotals :one
SELECT t.*, l.*
FROM (
  SELECT coalesce(sum(cash_cents + principal_cents + interest_income_cents + escrow_cents + suspense_cents
      + late_charges_receivable_cents + late_charge_income_cents + fees_receivable_cents + fee_income_cents
      + escrow_advance_cents + boarding_clearing_cents), 0)::bigint AS trial_balance_cents,
    coalesce(sum(principal_cents), 0)::bigint AS principal_cents, coalesce(-sum(escrow_cents), 0)::bigint AS escrow_cents,
    coalesce(sum(escrow_advance_cents), 0)::bigint AS escrow_advance_cents,
    coalesce(-sum(suspense_cents), 0)::bigint AS suspense_cents,
    coalesce(sum(late_charges_receivable_cents), 0)::bigint AS late_charges_due_cents,
    coalesce(sum(fees_receivable_cents), 0)::bigint AS fees_due_cents
  FROM transactions
) t, (
  SELECT coalesce(sum(principal_cents), 0)::bigint AS loans_principal_cents,
    coalesce(sum(escrow_cents), 0)::bigint AS loans_escrow_cents,
    coalesce(sum(escrow_advance_cents), 0)::bigint AS loans_escrow_advance_cents,
    coalesce(sum(suspense_cents), 0)::bigint AS loans_suspense_cents,
    coalesce(sum(late_charges_due_cents), 0)::bigint AS loans_late_charges_due_cents,
    coalesce(sum(fees_due_cents), 0)::bigint AS loans_fees_due_cents
  FROM loans
) l;

-- ListForeignKeys returns the foreign keys of the public schema, as table and name.
--
-- name: ListForeignKeys :many
SELECT key::text FROM foreign_keys() key LIMIT 10000;

-- ListOrphans returns rows that name, by the foreign key, a row that does not exist, as
-- orphans_of describes them.
--
-- name: ListOrphans :many
SELECT orphan::jsonb FROM orphans_of(@key::text, @row_limit::integer) orphan;
