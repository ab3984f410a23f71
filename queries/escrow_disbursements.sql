-- GetEscrowPaymentPolicy returns what counts of the servicer's policy for paying,
-- with its defaults where nothing was chosen. The lead is that of the analyses.
--
-- name: GetEscrowPaymentPolicy :one
SELECT coalesce(p.overdue, 'advance')::text AS overdue, coalesce(p.stale_after_days, 10)::integer AS stale_after_days,
  coalesce(p.bank_routing, '')::text AS bank_routing, coalesce(p.bank_name, '')::text AS bank_name,
  coalesce(p.company_id, '')::text AS company_id, coalesce(p.company_name, '')::text AS company_name,
  coalesce(p.requested_by, '')::text AS requested_by,
  coalesce((SELECT (e.policy->>'lead_days')::integer FROM escrow_policies e ORDER BY e.id DESC LIMIT 1), 0)::integer
    AS lead_days
FROM (SELECT 1) one
LEFT JOIN (SELECT * FROM escrow_payment_policies ORDER BY id DESC LIMIT 1) p ON true;

-- InsertEscrowPaymentPolicy adds the policy that counts from now on.
--
-- name: InsertEscrowPaymentPolicy :exec
INSERT INTO escrow_payment_policies (
  overdue, stale_after_days, bank_routing, bank_name, company_id, company_name, requested_by
) VALUES (
  @overdue, @stale_after_days, nullif(@bank_routing::text, ''), nullif(@bank_name::text, ''),
  nullif(@company_id::text, ''), nullif(@company_name::text, ''), @requested_by
);

-- InsertDisburseChunks cuts the loans that may have something to be paid into
-- ranges of ids of at most chunk_loans loans each, and returns them in order.
--
-- name: InsertDisburseChunks :many
INSERT INTO run_chunks (run_id, first_loan_id, last_loan_id, loans)
SELECT @run_id, min(due.id), max(due.id), count(*)
FROM (
  SELECT d.id, (row_number() OVER (ORDER BY d.id) - 1) / @chunk_loans::bigint AS chunk
  FROM loans_to_disburse(0, 9223372036854775807, @as_of_on::date, @up_to_on::date) AS d(id)
) due
GROUP BY due.chunk
ORDER BY due.chunk
RETURNING *;

-- LockLoansToDisburse locks, in order of id, the loans of a range that may have
-- something to be paid.
--
-- name: LockLoansToDisburse :many
SELECT * FROM loans
WHERE id BETWEEN @first_loan_id AND @last_loan_id
  AND id IN (SELECT loans_to_disburse(@first_loan_id, @last_loan_id, @as_of_on::date, @up_to_on::date))
ORDER BY id
FOR NO KEY UPDATE;

-- LockEscrowLinesToPay locks the lines of loans that have a bill to be paid, or
-- will have one by the given day. Whoever calls it holds the loans' locks.
--
-- name: LockEscrowLinesToPay :many
SELECT e.* FROM escrow_lines e
WHERE e.loan_id = ANY(@loan_ids::bigint[]) AND (
  e.ended_at IS NULL AND least(e.next_due_on, e.next_discount_on, e.next_penalty_on) <= @up_to_on::date
  OR EXISTS (
    SELECT FROM escrow_bills b
    WHERE b.line_id = e.id AND b.status IN ('open', 'held') AND least(b.due_on, b.discount_on, b.penalty_on) <= @up_to_on::date))
ORDER BY e.loan_id, e.id
FOR NO KEY UPDATE;

-- LockEscrowBillsToPay locks the bills of lines that are not paid, or may be of the
-- cycle to be paid. Whoever calls it holds the locks of the loans and the lines.
--
-- name: LockEscrowBillsToPay :many
SELECT b.* FROM escrow_bills b
JOIN escrow_lines e ON e.id = b.line_id
WHERE b.line_id = ANY(@line_ids::bigint[]) AND b.status <> 'canceled'
  AND (b.status IN ('open', 'held') OR b.cycle_on > e.next_due_on - 15 * e.every_months)
ORDER BY b.line_id, b.due_on
FOR NO KEY UPDATE OF b;

-- ListSurplusRefundsDue returns what analyses found to be refunded on loans and was
-- not: of each loan the last analysis alone, where it is due by the given day.
--
-- name: ListSurplusRefundsDue :many
SELECT a.id, a.loan_id, a.refund_cents, a.refund_due_on FROM escrow_analyses a
WHERE a.loan_id = ANY(@loan_ids::bigint[]) AND a.status = 'finished' AND NOT a.dry_run AND a.refund_cents > 0
  AND a.refund_due_on <= @up_to_on::date
  AND NOT EXISTS (
    SELECT FROM escrow_disbursements d WHERE d.analysis_id = a.id AND (d.status <> 'returned' OR d.released_by IS NULL))
  AND NOT EXISTS (
    SELECT FROM escrow_analyses o WHERE o.loan_id = a.loan_id AND o.id > a.id AND o.status = 'finished' AND NOT o.dry_run)
ORDER BY a.loan_id
LIMIT 10000;

-- ListEscrowContext returns, for loans, who the borrower is, whether what came back
-- of a payoff refund waits for a person, and whether the books hold a disbursement
-- or a return of that day already.
--
-- name: ListEscrowContext :many
SELECT l.id,
  coalesce((
    SELECT b.full_name FROM loan_borrowers lb JOIN borrowers b ON b.id = lb.borrower_id
    WHERE lb.loan_id = l.id AND lb.role = 'primary'), 'Borrower of loan ' || l.loan_number)::text AS borrower,
  EXISTS (
    SELECT FROM escrow_disbursements d
    WHERE d.loan_id = l.id AND (d.paid_on = @as_of_on::date OR d.returned_on = @as_of_on::date)) AS day_taken,
  EXISTS (
    SELECT FROM escrow_disbursements d
    WHERE d.loan_id = l.id AND d.kind = 'payoff_refund' AND d.status = 'returned' AND d.released_by IS NULL) AS refund_waits
FROM loans l
WHERE l.id = ANY(@loan_ids::bigint[])
ORDER BY l.id
LIMIT 10000;

-- PayEscrow writes what a run decided in one statement: bills that were expected and
-- had not come, bills that are paid or held, the money that leaves, and where lines
-- go on. It returns how many bills and lines it changed, which must be all of them.
--
-- name: PayEscrow :one
WITH expected AS (
  INSERT INTO escrow_bills (
    id, line_id, loan_id, status, due_on, discount_on, penalty_on, amount_cents, discount_cents, expected, held_rule,
    requested_by, cycle_on
  )
  SELECT unnest(@new_id::uuid[]), unnest(@new_line_id::bigint[]), unnest(@new_loan_id::bigint[]),
    unnest(@new_status::text[])::escrow_bill_status, unnest(@new_due_on::date[]), unnest(@new_discount_on::date[]),
    unnest(@new_penalty_on::date[]), unnest(@new_amount::bigint[]), unnest(@new_discount::bigint[]), true,
    nullif(unnest(@new_held_rule::text[]), ''), @caused_by::text, unnest(@new_due_on::date[])
), decided AS (
  UPDATE escrow_bills b SET status = s.status, held_rule = nullif(s.held_rule, '')
  FROM (
    SELECT unnest(@bill_id::uuid[]) AS id, unnest(@bill_status::text[])::escrow_bill_status AS status,
      unnest(@bill_held_rule::text[]) AS held_rule
  ) s
  WHERE b.id = s.id AND b.status IN ('open', 'held')
  RETURNING b.id
), paid AS (
  INSERT INTO escrow_disbursements (
    id, loan_id, kind, bill_id, analysis_id, payee, amount_cents, advanced_cents, rule, due_on, paid_on, caused_by, posted_at
  )
  SELECT unnest(@id::uuid[]), unnest(@loan_id::bigint[]), unnest(@kind::text[])::escrow_disbursement_kind,
    nullif(unnest(@paid_bill_id::text[]), '')::uuid, nullif(unnest(@analysis_id::text[]), '')::uuid,
    unnest(@payee::text[]), unnest(@amount::bigint[]), unnest(@advanced::bigint[]), unnest(@rule::text[]),
    unnest(@due_on::date[]), @paid_on::date, @caused_by::text, @posted_at
), moved AS (
  UPDATE escrow_lines e SET next_due_on = s.next_due_on, next_discount_on = s.next_discount_on,
    next_penalty_on = s.next_penalty_on, amount_cents = s.amount_cents, discount_cents = s.discount_cents,
    known_cents = nullif(s.known_cents, -1),
    last_paid_on = s.last_paid_on, due_day = s.due_day, version = e.version + 1
  FROM (
    SELECT unnest(@line_id::bigint[]) AS id, unnest(@line_next_due_on::date[]) AS next_due_on,
      unnest(@line_next_discount_on::date[]) AS next_discount_on, unnest(@line_next_penalty_on::date[]) AS next_penalty_on,
      unnest(@line_amount::bigint[]) AS amount_cents, unnest(@line_discount::bigint[]) AS discount_cents,
      unnest(@line_known::bigint[]) AS known_cents,
      unnest(@line_last_paid_on::date[]) AS last_paid_on, unnest(@line_due_day::smallint[]) AS due_day
  ) s
  WHERE e.id = s.id
  RETURNING e.id
)
SELECT ((SELECT count(*) FROM decided) + (SELECT count(*) FROM moved))::bigint;

-- ListDisbursements returns all money that left a loan's escrow, and what of it came
-- back, in order of id. Whoever holds the loan's lock knows that they stay as they are.
--
-- name: ListDisbursements :many
SELECT id, kind, amount_cents, paid_on, returned_on FROM escrow_disbursements
WHERE loan_id = $1
ORDER BY id
LIMIT 100000;

-- MarkDisbursementsStale notices money that was sent, and of which nobody has said
-- for too long that it arrived. It returns how much of it there is.
--
-- name: MarkDisbursementsStale :execrows
UPDATE escrow_disbursements SET status = 'stale'
WHERE status = 'sent' AND timezone('UTC', sent_at)::date <= @sent_by_on::date;

-- GetDisbursement returns one disbursement.
--
-- name: GetDisbursement :one
SELECT * FROM escrow_disbursements WHERE id = $1;

-- ListEscrowDisbursements returns disbursements, the latest first, before the given
-- id, at most row_limit of them: those of a loan, in a status, of a kind or in a file,
-- where that is given.
--
-- name: ListEscrowDisbursements :many
SELECT * FROM escrow_disbursements
WHERE id < @before_id
  AND (sqlc.narg(loan_id)::bigint IS NULL OR loan_id = sqlc.narg(loan_id))
  AND (sqlc.narg(status)::escrow_disbursement_status IS NULL OR status = sqlc.narg(status))
  AND (sqlc.narg(kind)::escrow_disbursement_kind IS NULL OR kind = sqlc.narg(kind))
  AND (sqlc.narg(file_id)::uuid IS NULL OR file_id = sqlc.narg(file_id))
ORDER BY id DESC
LIMIT @row_limit;

-- MarkDisbursementConfirmed says that money arrived. It returns no row when it was
-- not on its way.
--
-- name: MarkDisbursementConfirmed :one
UPDATE escrow_disbursements SET status = 'confirmed', confirmed_at = now()
WHERE id = @id AND status IN ('sent', 'stale')
RETURNING *;

-- MarkDisbursementReleased says that a person wants returned money sent again.
--
-- name: MarkDisbursementReleased :one
UPDATE escrow_disbursements SET released_by = @released_by::text
WHERE id = @id AND status = 'returned' AND released_by IS NULL
RETURNING *;

-- LockDisbursementToSend locks a disbursement.
--
-- name: LockDisbursement :one
SELECT * FROM escrow_disbursements WHERE id = $1 FOR NO KEY UPDATE;

-- CountDisbursements returns how much money is waited for: by status, what is not
-- confirmed, and what came back and waits for a person.
--
-- name: CountDisbursements :many
SELECT status::text AS status, count(*)::bigint AS disbursements, coalesce(sum(amount_cents), 0)::bigint AS total_cents
FROM escrow_disbursements
WHERE status IN ('scheduled', 'sent', 'stale') OR status = 'returned' AND released_by IS NULL
GROUP BY status
ORDER BY status;

-- CountEscrowBills returns how many bills are not paid, by status.
--
-- name: CountEscrowBills :many
SELECT status::text AS status, count(*)::bigint AS bills FROM escrow_bills
WHERE status IN ('open', 'held')
GROUP BY status
ORDER BY status;
