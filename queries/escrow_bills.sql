-- GetEscrowLine returns one line.
--
-- name: GetEscrowLine :one
SELECT * FROM escrow_lines WHERE id = $1;

-- LockEscrowLine locks a line, after its loan.
--
-- name: LockEscrowLine :one
SELECT * FROM escrow_lines WHERE id = $1 FOR NO KEY UPDATE;

-- LockLoan locks a loan. Whoever changes what escrow pays for it holds that lock,
-- and takes it before those of lines, bills and disbursements.
--
-- name: LockLoan :one
SELECT * FROM loans WHERE id = $1 FOR NO KEY UPDATE;

-- InsertEscrowBill records a bill as it came. It returns no row when the line has
-- another bill for that due date.
--
-- name: InsertEscrowBill :one
INSERT INTO escrow_bills (
  id, line_id, loan_id, due_on, discount_on, penalty_on, amount_cents, discount_cents, expected, insurance_canceled,
  requested_by, cycle_on, basis_rule
) VALUES (
  @id, @line_id, @loan_id, @due_on, @discount_on, @penalty_on, @amount_cents, @discount_cents, false,
  @insurance_canceled, @requested_by, @cycle_on, @basis_rule
)
ON CONFLICT (line_id, due_on) WHERE status <> 'canceled' DO NOTHING
RETURNING *;

-- ListEscrowBillsOfCycle returns the bills of one cycle of a line but for those
-- that were canceled, in order of their due dates.
--
-- name: ListEscrowBillsOfCycle :many
SELECT * FROM escrow_bills
WHERE line_id = @line_id AND cycle_on = @cycle_on AND status <> 'canceled'
ORDER BY due_on
LIMIT 100;

-- CountEscrowBillsBetween returns how many bills a line has whose cycles lie between two
-- days, but for those that were canceled.
--
-- name: CountEscrowBillsBetween :one
SELECT count(*) FROM escrow_bills
WHERE line_id = @line_id AND cycle_on > @after_on AND cycle_on < @before_on AND status <> 'canceled';

-- CountEscrowBillsLeftBehind returns how many unpaid bills of the cycle that lies between
-- two days would not lie between two others.
--
-- name: CountEscrowBillsLeftBehind :one
SELECT count(*) FROM escrow_bills
WHERE line_id = @line_id AND status IN ('open', 'held') AND cycle_on > @after_on AND cycle_on < @before_on
  AND NOT (cycle_on > @new_after_on AND cycle_on < @new_before_on);

-- CountLaterEscrowBills returns how many bills of later cycles a line has.
--
-- name: CountLaterEscrowBills :one
SELECT count(*) FROM escrow_bills WHERE line_id = @line_id AND cycle_on > @cycle_on AND status <> 'canceled';

-- GetEscrowBill returns one bill.
--
-- name: GetEscrowBill :one
SELECT * FROM escrow_bills WHERE id = $1;

-- LockEscrowBill locks a bill, after its loan.
--
-- name: LockEscrowBill :one
SELECT * FROM escrow_bills WHERE id = $1 FOR NO KEY UPDATE;

-- ListEscrowBills returns bills, the latest first, before the given id, at most
-- row_limit of them: those of a line, of a loan, or in a status, where that is given.
--
-- name: ListEscrowBills :many
SELECT * FROM escrow_bills
WHERE id < @before_id
  AND (sqlc.narg(line_id)::bigint IS NULL OR line_id = sqlc.narg(line_id))
  AND (sqlc.narg(loan_id)::bigint IS NULL OR loan_id = sqlc.narg(loan_id))
  AND (sqlc.narg(status)::escrow_bill_status IS NULL OR status = sqlc.narg(status))
ORDER BY id DESC
LIMIT @row_limit;

-- MarkEscrowBillChanged changes what an unpaid bill says. It is a bill that has
-- come, from then on.
--
-- name: MarkEscrowBillChanged :one
UPDATE escrow_bills SET amount_cents = @amount_cents, discount_on = @discount_on, penalty_on = @penalty_on,
  discount_cents = @discount_cents, insurance_canceled = @insurance_canceled, expected = false
WHERE id = @id AND status IN ('open', 'held')
RETURNING *;

-- MarkEscrowBillCanceled ends a bill that is not to be paid.
--
-- name: MarkEscrowBillCanceled :one
UPDATE escrow_bills SET status = 'canceled', held_rule = NULL, canceled_by = @canceled_by::text,
  cancel_reason = @cancel_reason::text
WHERE id = @id AND status IN ('open', 'held')
RETURNING *;

-- MarkEscrowBillReleased says that a person wants a held bill paid.
--
-- name: MarkEscrowBillReleased :one
UPDATE escrow_bills SET status = 'open', held_rule = NULL, released_by = @released_by::text
WHERE id = @id AND status = 'held'
RETURNING *;

-- MarkReturnsOfBillReleased says the same of the money that came back for it.
--
-- name: MarkReturnsOfBillReleased :exec
UPDATE escrow_disbursements SET released_by = @released_by::text
WHERE bill_id = @bill_id AND status = 'returned' AND released_by IS NULL;

-- MarkEscrowBillReturned takes a paid bill back to be unpaid, and held until a
-- person has looked at it.
--
-- name: MarkEscrowBillReturned :one
UPDATE escrow_bills SET status = 'held', held_rule = @held_rule::text, released_by = NULL
WHERE id = @id AND status = 'paid'
RETURNING *;

-- MarkEscrowLine changes when a line's next bill is due, and what it comes to.
--
-- name: MarkEscrowLine :exec
UPDATE escrow_lines SET next_due_on = @next_due_on, next_discount_on = @next_discount_on,
  next_penalty_on = @next_penalty_on, discount_cents = @discount_cents, amount_cents = @amount_cents,
  known_cents = @known_cents, last_paid_on = @last_paid_on, due_day = @due_day, version = version + 1
WHERE id = @id;
