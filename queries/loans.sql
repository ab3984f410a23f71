-- InsertProperty stores the mortgaged property and returns its id.
--
-- name: InsertProperty :one
INSERT INTO properties (street, city, state, postal_code)
VALUES (@street, @city, @state, @postal_code)
RETURNING id;

-- InsertLoan stores a loan with its boarded state and with books that are still
-- empty; OpenBooks must follow in the same transaction. It returns no row when the
-- principal's idempotency key is taken: the caller then reads the first loan.
--
-- name: InsertLoan :one
INSERT INTO loans (
  loan_number, name, property_id, original_principal_cents, rate_ppm, principal_and_interest_cents,
  escrow_payment_cents, originated_on, maturity_on, due_day, interest_method, application_order,
  excess_policy, rounding, late_charge_grace_days, late_charge_rate_ppm, late_charge_minimum_cents,
  late_charge_maximum_cents, late_charge_extends, short_payoff_policy, boarded_next_due_on, boarded_at, boarded_by, idempotency_key, request_hash,
  returned_payment_fee_cents, principal_cents, escrow_cents, escrow_advance_cents, suspense_cents, late_charges_due_cents, fees_due_cents,
  interest_accrued_to_on, accrued_interest_cents, boarded_interest_accrued_to_on, boarded_accrued_interest_cents,
  next_due_on, as_of_on, last_seq, last_hash, updated_at
) VALUES (
  @loan_number, @name, @property_id, @original_principal_cents, @rate_ppm, @principal_and_interest_cents,
  @escrow_payment_cents, @originated_on, @maturity_on, @due_day, @interest_method, @application_order,
  @excess_policy, @rounding, @late_charge_grace_days, @late_charge_rate_ppm, @late_charge_minimum_cents,
  @late_charge_maximum_cents, @late_charge_extends, @short_payoff_policy, @next_due_on, @boarded_at, @boarded_by, @idempotency_key, @request_hash,
  @returned_payment_fee_cents, @principal_cents, @escrow_cents, @escrow_advance_cents, @suspense_cents, @late_charges_due_cents,
  @fees_due_cents, @interest_accrued_to_on, @accrued_interest_cents, @interest_accrued_to_on, @accrued_interest_cents,
  @next_due_on, timezone('UTC', @boarded_at::timestamptz)::date, 0, decode(repeat('00', 32), 'hex'), @boarded_at
)
ON CONFLICT (boarded_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetLoanByKey returns the loan that a principal boarded under a key.
--
-- name: GetLoanByKey :one
SELECT * FROM loans WHERE boarded_by = @boarded_by AND idempotency_key = @idempotency_key::text;

-- GetLoan returns one loan.
--
-- name: GetLoan :one
SELECT * FROM loans WHERE id = $1;

-- ListLoans returns loans in order of id, after the given id, at most
-- row_limit of them, and only the one with the loan number when that is given.
--
-- name: ListLoans :many
SELECT * FROM loans
WHERE id > @after_id AND (sqlc.narg(loan_number)::text IS NULL OR loan_number = sqlc.narg(loan_number))
ORDER BY id
LIMIT @row_limit;

-- InsertARMTerms stores what a loan's note says of its adjustable rate.
--
-- name: InsertARMTerms :exec
INSERT INTO arm_terms (
  loan_id, margin_ppm, round_to_ppm, periodic_cap_ppm, first_cap_ppm, lifetime_cap_ppm, floor_ppm, adjusted
) VALUES (
  @loan_id, @margin_ppm, @round_to_ppm, @periodic_cap_ppm, @first_cap_ppm, @lifetime_cap_ppm, @floor_ppm, @adjusted
);

-- GetARMTerms returns what a loan's note says of its adjustable rate, and no row
-- when the rate is fixed.
--
-- name: GetARMTerms :one
SELECT * FROM arm_terms WHERE loan_id = $1;

-- GetProperty returns one property.
--
-- name: GetProperty :one
SELECT * FROM properties WHERE id = $1;

-- InsertBorrower stores a person and returns the id.
--
-- name: InsertBorrower :one
INSERT INTO borrowers (full_name, email, phone)
VALUES (@full_name, @email, @phone)
RETURNING id;

-- InsertLoanBorrower makes a borrower liable on a loan.
--
-- name: InsertLoanBorrower :exec
INSERT INTO loan_borrowers (loan_id, borrower_id, role)
VALUES (@loan_id, @borrower_id, @role);

-- ListLoanBorrowers returns who is liable on a loan, the primary borrower first.
--
-- name: ListLoanBorrowers :many
SELECT b.id, b.full_name, b.email, b.phone, lb.role
FROM loan_borrowers lb
JOIN borrowers b ON b.id = lb.borrower_id
WHERE lb.loan_id = $1
ORDER BY lb.role, b.id
LIMIT 100;
