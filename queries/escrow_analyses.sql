-- InsertEscrowAnalysis records a wish that a loan's escrow account be analyzed. It
-- returns no row when the principal's idempotency key is taken.
--
-- name: InsertEscrowAnalysis :one
INSERT INTO escrow_analyses (
  id, loan_id, kind, dry_run, as_of_on, start_on, established_on, transferred, voluntary_cents,
  requested_by, idempotency_key, request_hash
) VALUES (
  @id, @loan_id, @kind, @dry_run, @as_of_on, @start_on, @established_on, @transferred, @voluntary_cents,
  @requested_by, @idempotency_key, @request_hash
)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetEscrowAnalysis returns one analysis.
--
-- name: GetEscrowAnalysis :one
SELECT * FROM escrow_analyses WHERE id = $1;

-- GetEscrowAnalysisByKey returns the analysis that a principal asked for under a key.
--
-- name: GetEscrowAnalysisByKey :one
SELECT * FROM escrow_analyses WHERE requested_by = $1 AND idempotency_key = $2;

-- ListEscrowAnalyses returns a loan's analyses, the latest first, before the given
-- id, at most row_limit of them. Ids are in order of time.
--
-- name: ListEscrowAnalyses :many
SELECT * FROM escrow_analyses
WHERE loan_id = @loan_id AND id < @before_id
ORDER BY id DESC
LIMIT @row_limit;

-- ListFinishedEscrowAnalyses returns those of the given analyses that are over.
--
-- name: ListFinishedEscrowAnalyses :many
SELECT id FROM escrow_analyses WHERE id = ANY(@ids::uuid[]) AND status <> 'requested' ORDER BY id LIMIT 10000;

-- LockEscrowAnalysis locks an analysis that is still to be made with its loan. It
-- returns no row when it was made or rejected before.
--
-- name: LockEscrowAnalysis :one
SELECT sqlc.embed(a), sqlc.embed(l), now()::timestamptz AS posted_at
FROM loans l
JOIN escrow_analyses a ON a.loan_id = l.id
WHERE a.id = $1 AND a.status = 'requested'
FOR NO KEY UPDATE OF l, a;

-- MarkEscrowAnalysisRejected ends an analysis that a rule refuses.
--
-- name: MarkEscrowAnalysisRejected :exec
UPDATE escrow_analyses SET status = 'rejected', refusal = @refusal::text,
  refused_field = nullif(@refused_field::text, ''), refused_rule = nullif(@refused_rule::text, ''), finished_at = now()
WHERE id = @id AND status = 'requested';

-- InsertEscrowRun records a wish that the portfolio's escrow accounts be analyzed. It
-- returns no row when the principal's idempotency key is taken.
--
-- name: InsertEscrowRun :one
INSERT INTO runs (id, kind, as_of_on, due_month_on, requested_by, idempotency_key, request_hash)
VALUES (@id, 'analyze_escrow', @as_of_on, @due_month_on, @requested_by, @idempotency_key, @request_hash)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- InsertEscrowChunks cuts the loans whose next computation year is to be analyzed
-- into ranges of ids of at most chunk_loans loans each, and returns them in order.
-- They are the active ones with an escrow account whose next year begins by the month
-- up_to_month, and, unless it is zero, in only_month, and not after the loan's last
-- installment: a whole number of years after the one that was analyzed last, or after
-- the first installment that was boarded. Months are counted from year zero.
--
-- name: InsertEscrowChunks :many
INSERT INTO run_chunks (run_id, first_loan_id, last_loan_id, loans)
SELECT @run_id, min(due.id), max(due.id), count(*)
FROM (
  SELECT l.id, (row_number() OVER (ORDER BY l.id) - 1) / @chunk_loans::bigint AS chunk
  FROM loans l
  CROSS JOIN (SELECT @up_to_month::integer AS up_to, @only_month::integer AS alone) asked
  CROSS JOIN LATERAL (
    SELECT (extract(year FROM coalesce(l.escrow_year_starts_on, l.boarded_next_due_on)) * 12
      + extract(month FROM coalesce(l.escrow_year_starts_on, l.boarded_next_due_on)) - 1)::integer AS month
  ) y
  WHERE l.status = 'active' AND asked.up_to - y.month >= 12
    AND asked.alone IN (0, y.month + (asked.up_to - y.month) / 12 * 12)
    AND y.month + (asked.up_to - y.month) / 12 * 12 <= extract(year FROM l.maturity_on) * 12 + extract(month FROM l.maturity_on) - 1
    AND (l.escrow_cents > 0 OR l.escrow_advance_cents > 0 OR l.escrow_payment_cents > 0
      OR EXISTS (SELECT FROM escrow_lines e WHERE e.loan_id = l.id AND e.ended_at IS NULL))
) due
GROUP BY due.chunk
ORDER BY due.chunk
RETURNING *;

-- LockLoansToAnalyze locks, in order of id, the loans of a range whose next
-- computation year is still to be analyzed: see InsertEscrowChunks.
--
-- name: LockLoansToAnalyze :many
SELECT l.* FROM loans l
CROSS JOIN (SELECT @up_to_month::integer AS up_to, @only_month::integer AS alone) asked
CROSS JOIN LATERAL (
  SELECT (extract(year FROM coalesce(l.escrow_year_starts_on, l.boarded_next_due_on)) * 12
    + extract(month FROM coalesce(l.escrow_year_starts_on, l.boarded_next_due_on)) - 1)::integer AS month
) y
WHERE l.id BETWEEN @first_loan_id AND @last_loan_id AND l.status = 'active' AND asked.up_to - y.month >= 12
  AND asked.alone IN (0, y.month + (asked.up_to - y.month) / 12 * 12)
  AND y.month + (asked.up_to - y.month) / 12 * 12 <= extract(year FROM l.maturity_on) * 12 + extract(month FROM l.maturity_on) - 1
  AND (l.escrow_cents > 0 OR l.escrow_advance_cents > 0 OR l.escrow_payment_cents > 0
    OR EXISTS (SELECT FROM escrow_lines e WHERE e.loan_id = l.id AND e.ended_at IS NULL))
ORDER BY l.id
FOR NO KEY UPDATE OF l;

-- GetRunDueMonth returns the month that a run of analyses is for, and no date when
-- it is for all that are due.
--
-- name: GetRunDueMonth :one
SELECT due_month_on FROM runs WHERE id = $1;

-- ListEscrowBooks returns, for each of the loans, what its books say of the end of
-- account_on: what escrow holds less what was advanced, with what had been paid by
-- then and came back later, as its bill is unpaid again; and the oldest installment
-- that was unpaid then and at the end of as_of_on. And whether the loan may have got
-- money since then that would have satisfied the next installment, had that been
-- smaller: the last that happened to it is neither an installment nor what was left
-- of the payment of one.
-- Whoever calls it holds the loans' locks.
--
-- name: ListEscrowBooks :many
SELECT l.id,
  (l.escrow_cents - l.escrow_advance_cents + coalesce(later.cents, 0) + coalesce(back.cents, 0))::bigint AS balance_cents,
  coalesce(later.unpaid_on, l.next_due_on)::date AS account_next_due_on,
  coalesce(later.unpaid_as_of, l.next_due_on)::date AS next_due_on,
  coalesce(last.kind NOT IN ('boarding', 'installment') AND NOT EXISTS (
    SELECT FROM transactions i
    WHERE i.loan_id = l.id AND i.payment_id = last.payment_id AND i.kind = 'installment'), false)::boolean AS tried
FROM (
  SELECT unnest(@loan_ids::bigint[]) AS id, unnest(@account_on::date[]) AS account_on, unnest(@as_of_on::date[]) AS as_of_on
) asked
JOIN loans l ON l.id = asked.id
LEFT JOIN LATERAL (
  SELECT sum(t.escrow_cents + t.escrow_advance_cents) AS cents,
    min(t.due_on) FILTER (WHERE t.stands) AS unpaid_on,
    min(t.due_on) FILTER (WHERE t.stands AND t.effective_on > asked.as_of_on) AS unpaid_as_of
  FROM (
    SELECT t.*, t.kind = 'installment' AND NOT EXISTS (
      SELECT FROM transactions r WHERE r.loan_id = t.loan_id AND r.reverses = t.seq) AS stands
    FROM transactions t
    WHERE t.loan_id = l.id AND t.effective_on > asked.account_on AND l.last_effective_on > asked.account_on
  ) t
) later ON true
LEFT JOIN LATERAL (
  SELECT sum(d.amount_cents) AS cents FROM escrow_disbursements d
  WHERE d.loan_id = l.id AND d.status = 'returned' AND d.bill_id IS NOT NULL
    AND d.paid_on <= asked.account_on AND d.returned_on > asked.account_on
) back ON true
LEFT JOIN LATERAL (
  SELECT t.kind, t.payment_id FROM transactions t
  WHERE t.loan_id = l.id AND t.kind NOT IN ('late_charge', 'escrow_disbursement', 'escrow_refund')
  ORDER BY t.seq DESC
  LIMIT 1
) last ON true
ORDER BY l.id;

-- ListEscrowLinesOf returns what escrow pays for each of the loans, in order of
-- loan and line.
--
-- name: ListEscrowLinesOf :many
SELECT * FROM escrow_lines
WHERE loan_id = ANY(@loan_ids::bigint[]) AND ended_at IS NULL
ORDER BY loan_id, id;

-- ListEscrowBillsApart returns, in order of loan, line and due date, the bills of the
-- loans of which an analysis has to know more than their lines say: those that are not
-- paid, those that were paid after the loan's day, and those that are paid of the cycle
-- that their line still is in, of a tax that is paid in installments. Each comes with its
-- line, and with what was paid of it when.
--
-- name: ListEscrowBillsApart :many
SELECT sqlc.embed(b), e.kind, e.payee, e.every_months, e.outside_cushion, d.paid_on,
  coalesce(d.amount_cents, 0)::bigint AS paid_cents
FROM (
  SELECT unnest(@loan_ids::bigint[]) AS id, unnest(@account_on::date[]) AS account_on
) asked
JOIN escrow_bills b ON b.loan_id = asked.id
JOIN escrow_lines e ON e.id = b.line_id
LEFT JOIN escrow_disbursements d ON d.bill_id = b.id AND d.status <> 'returned'
WHERE b.status IN ('open', 'held')
  OR b.status = 'paid' AND (d.paid_on > asked.account_on OR abs(b.cycle_on - e.next_due_on) < 15 * e.every_months)
ORDER BY b.loan_id, b.line_id, b.due_on;

-- WriteEscrowAnalyses writes finished analyses with their months: those that were
-- asked for, or, in a run, new ones. It returns how many it wrote.
--
-- name: WriteEscrowAnalyses :one
WITH made AS (
  INSERT INTO escrow_analyses (
    id, loan_id, run_id, kind, status, dry_run, as_of_on, start_on, requested_by, idempotency_key, request_hash,
    finished_at, policy_id, request, result, base_payment_cents, cushion_cents, required_start_cents,
    start_balance_cents, surplus_cents, shortage_cents, deficiency_cents, new_escrow_payment_cents, effective_on,
    refund_cents, refund_due_on, statement_due_on
  )
  SELECT s.id, s.loan_id, sqlc.narg(run_id)::uuid, s.kind, 'finished', s.dry_run, s.as_of_on, s.start_on,
    s.requested_by, s.idempotency_key, s.request_hash, now(), sqlc.narg(policy_id)::bigint, s.request, s.result,
    s.base_payment_cents, s.cushion_cents, s.required_start_cents, s.start_balance_cents, s.surplus_cents,
    s.shortage_cents, s.deficiency_cents, s.new_escrow_payment_cents, s.effective_on, s.refund_cents,
    s.refund_due_on, s.statement_due_on
  FROM (
    SELECT unnest(@id::uuid[]) AS id, unnest(@loan_id::bigint[]) AS loan_id,
      unnest(@kind::text[])::escrow_analysis_kind AS kind, unnest(@dry_run::boolean[]) AS dry_run,
      unnest(@as_of_on::date[]) AS as_of_on, unnest(@start_on::date[]) AS start_on,
      unnest(@requested_by::text[]) AS requested_by, unnest(@idempotency_key::text[]) AS idempotency_key,
      unnest(@request_hash::bytea[]) AS request_hash,
      unnest(@request::jsonb[]) AS request, unnest(@result::jsonb[]) AS result,
      unnest(@base_payment::bigint[]) AS base_payment_cents, unnest(@cushion::bigint[]) AS cushion_cents,
      unnest(@required_start::bigint[]) AS required_start_cents,
      unnest(@start_balance::bigint[]) AS start_balance_cents, unnest(@surplus::bigint[]) AS surplus_cents,
      unnest(@shortage::bigint[]) AS shortage_cents, unnest(@deficiency::bigint[]) AS deficiency_cents,
      unnest(@new_escrow_payment::bigint[]) AS new_escrow_payment_cents,
      unnest(@effective_on::date[]) AS effective_on, unnest(@refund::bigint[]) AS refund_cents,
      unnest(@refund_due_on::date[]) AS refund_due_on, unnest(@statement_due_on::date[]) AS statement_due_on
  ) s
  ON CONFLICT (id) DO UPDATE SET status = 'finished', finished_at = excluded.finished_at,
    start_on = excluded.start_on, policy_id = excluded.policy_id, request = excluded.request, result = excluded.result,
    base_payment_cents = excluded.base_payment_cents, cushion_cents = excluded.cushion_cents,
    required_start_cents = excluded.required_start_cents, start_balance_cents = excluded.start_balance_cents,
    surplus_cents = excluded.surplus_cents, shortage_cents = excluded.shortage_cents,
    deficiency_cents = excluded.deficiency_cents, new_escrow_payment_cents = excluded.new_escrow_payment_cents,
    effective_on = excluded.effective_on, refund_cents = excluded.refund_cents, refund_due_on = excluded.refund_due_on,
    statement_due_on = excluded.statement_due_on
    WHERE escrow_analyses.status = 'requested'
  RETURNING id
), months AS (
  INSERT INTO escrow_analysis_months (
    analysis_id, month_on, deposit_cents, disbursement_cents, target_cents, projected_cents, payment_cents, expected_cents
  )
  SELECT unnest(@month_analysis_id::uuid[]), unnest(@month_on::date[]), unnest(@month_deposit::bigint[]),
    unnest(@month_disbursement::bigint[]), unnest(@month_target::bigint[]), unnest(@month_projected::bigint[]),
    unnest(@month_payment::bigint[]), unnest(@month_expected::bigint[])
)
SELECT count(*) FROM made;

-- PostEscrowPayments makes what analyses ask for count: changes of the loans'
-- payments, behind those that were posted before, and the year that was analyzed.
-- Whoever calls it holds the loans' locks. WriteEscrowTerms must follow.
--
-- name: PostEscrowPayments :execrows
INSERT INTO loan_changes (
  id, loan_id, kind, status, due_on, escrow_payment_cents, reason, requested_by, idempotency_key, request_hash,
  posted_at, posted_seq
)
SELECT s.id, s.loan_id, 'payment_change', 'posted', s.due_on, s.escrow_payment_cents, 'escrow analysis', s.requested_by,
  s.due_on::text, sha256(convert_to(s.requested_by || ' ' || s.due_on, 'UTF8')), @posted_at,
  coalesce(before.posted, 0) + row_number() OVER (PARTITION BY s.loan_id ORDER BY s.due_on)
FROM (
  SELECT unnest(@id::uuid[]) AS id, unnest(@loan_id::bigint[]) AS loan_id, unnest(@due_on::date[]) AS due_on,
    unnest(@escrow_payment::bigint[]) AS escrow_payment_cents, unnest(@requested_by::text[]) AS requested_by
) s
LEFT JOIN LATERAL (
  SELECT count(*) AS posted FROM loan_changes o WHERE o.loan_id = s.loan_id AND o.status = 'posted'
) before ON true;

-- WriteEscrowTerms writes what counts of the loans' changes, and the computation
-- year that was analyzed, into the loans, and returns their changes.
--
-- name: WriteEscrowTerms :many
UPDATE loans l SET escrow_year_starts_on = s.start_on, updated_at = @posted_at,
  terms_changes = CASE WHEN s.changed THEN terms_changes_of(l.id) ELSE l.terms_changes END
FROM (
  SELECT unnest(@loan_id::bigint[]) AS id, unnest(@start_on::date[]) AS start_on, unnest(@changed::boolean[]) AS changed
) s
WHERE l.id = s.id
RETURNING l.id, l.terms_changes;
