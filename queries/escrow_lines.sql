-- InsertEscrowLine stores one tax, premium or fee that escrow pays.
--
-- name: InsertEscrowLine :one
INSERT INTO escrow_lines (
  loan_id, kind, payee, amount_cents, every_months, next_due_on, known_cents, comparable, next_discount_on,
  next_penalty_on, discount_cents, ends_on, last_paid_on, outside_cushion
) VALUES (
  @loan_id, @kind, @payee, @amount_cents, @every_months, @next_due_on, @known_cents, @comparable, @next_discount_on,
  @next_penalty_on, @discount_cents, @ends_on, @last_paid_on, @outside_cushion
)
RETURNING *;

-- ListEscrowLines returns what escrow pays for a loan, in order of id.
--
-- name: ListEscrowLines :many
SELECT * FROM escrow_lines WHERE loan_id = $1 AND ended_at IS NULL ORDER BY id LIMIT 100;

-- ListAllEscrowLines returns a loan's lines with those that have ended, in order of
-- id, after the given id, at most row_limit of them.
--
-- name: ListAllEscrowLines :many
SELECT * FROM escrow_lines WHERE loan_id = @loan_id AND id > @after_id ORDER BY id LIMIT @row_limit;

-- LockEscrowLineToChange locks a line and, before it, its loan: whoever analyzes or
-- pays for the loan waits.
--
-- name: LockEscrowLineToChange :one
SELECT sqlc.embed(e) FROM loans l
JOIN escrow_lines e ON e.loan_id = l.id
WHERE e.id = $1
FOR NO KEY UPDATE OF l, e;

-- LockLoanToAddEscrowLine locks a loan, so that its lines stay as they are, and
-- returns how many it has that have not ended.
--
-- name: LockLoanToAddEscrowLine :one
SELECT l.status, (SELECT count(*) FROM escrow_lines e WHERE e.loan_id = l.id AND e.ended_at IS NULL) AS lines
FROM loans l WHERE l.id = $1 FOR NO KEY UPDATE;

-- MarkEscrowLineChanged writes what may change of a line, and counts the change.
--
-- name: MarkEscrowLineChanged :one
UPDATE escrow_lines SET payee = @payee, amount_cents = @amount_cents, every_months = @every_months,
  next_due_on = @next_due_on, known_cents = @known_cents, comparable = @comparable,
  next_discount_on = @next_discount_on, next_penalty_on = @next_penalty_on, discount_cents = @discount_cents,
  ends_on = @ends_on, last_paid_on = @last_paid_on, outside_cushion = @outside_cushion, version = version + 1
WHERE id = @id AND ended_at IS NULL
RETURNING *;

-- MarkEscrowLineEnded ends a line: nothing is collected or paid for it any more.
--
-- name: MarkEscrowLineEnded :one
UPDATE escrow_lines SET ended_at = now(), ended_by = @ended_by::text, version = version + 1
WHERE id = @id AND ended_at IS NULL
RETURNING *;

-- InsertEscrowPolicy adds the policy that analyses follow from now on.
--
-- name: InsertEscrowPolicy :one
INSERT INTO escrow_policies (policy, cpi_change_ppm, requested_by)
VALUES (@policy, @cpi_change_ppm, @requested_by)
RETURNING *;

-- GetEscrowPolicy returns the policy that counts: the newest. Without a row the
-- default policy counts.
--
-- name: GetEscrowPolicy :one
SELECT * FROM escrow_policies ORDER BY id DESC LIMIT 1;

-- LockLoanEscrowSettings locks a loan and returns it.
--
-- name: LockLoanEscrowSettings :one
SELECT * FROM loans WHERE id = $1 FOR NO KEY UPDATE;

-- MarkEscrowSettings writes what only the loan knows of its escrow account.
--
-- name: MarkEscrowSettings :one
UPDATE loans SET escrow_year_starts_on = @escrow_year_starts_on, escrow_cushion_months = @escrow_cushion_months,
  escrow_cushion_source = @escrow_cushion_source, in_foreclosure = @in_foreclosure, in_bankruptcy = @in_bankruptcy,
  vacant = @vacant, updated_at = now()
WHERE id = @id
RETURNING *;
