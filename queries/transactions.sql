-- OpenBooks opens a boarded loan's books: it adds transaction number one and
-- makes it the head of the loan's chain.
--
-- name: OpenBooks :exec
WITH opened AS (
  INSERT INTO transactions (
    loan_id, seq, kind, effective_on, posted_at,
    cash_cents, principal_cents, interest_income_cents, escrow_cents, suspense_cents,
    late_charges_receivable_cents, late_charge_income_cents, fees_receivable_cents, fee_income_cents,
    escrow_advance_cents, boarding_clearing_cents, rule, caused_by, hash
  ) VALUES (
    @loan_id, 1, 'boarding', @effective_on, @posted_at,
    0, @principal_cents, 0, @escrow_cents, @suspense_cents,
    @late_charges_receivable_cents, 0, @fees_receivable_cents, 0,
    @escrow_advance_cents, @boarding_clearing_cents, @rule, @caused_by, @hash
  )
)
UPDATE loans SET last_seq = 1, last_hash = @hash WHERE loans.id = @loan_id AND last_seq = 0;

-- ListTransactions returns a loan's transactions in order of seq, from above
-- after_seq up to up_to_seq, at most row_limit of them.
--
-- name: ListTransactions :many
SELECT * FROM transactions
WHERE loan_id = @loan_id AND seq > @after_seq AND seq <= @up_to_seq
ORDER BY seq
LIMIT @row_limit;

-- ListLatestTransactions returns a loan's transactions below before_seq, the latest
-- first, at most row_limit of them.
--
-- name: ListLatestTransactions :many
SELECT * FROM transactions
WHERE loan_id = @loan_id AND seq < @before_seq
ORDER BY seq DESC
LIMIT @row_limit;

-- ListLiveTransactions returns a loan's transactions after the boarding that
-- stand: neither reversals nor reversed, in order of seq.
--
-- name: ListLiveTransactions :many
SELECT t.* FROM transactions t
WHERE t.loan_id = $1 AND t.seq > 1 AND t.kind <> 'reversal'
  AND NOT EXISTS (SELECT FROM transactions r WHERE r.loan_id = t.loan_id AND r.reverses = t.seq)
ORDER BY t.seq
LIMIT 100000;

-- GetBoarding returns a loan's first transaction.
--
-- name: GetBoarding :one
SELECT * FROM transactions WHERE loan_id = $1 AND seq = 1;

-- GetBalances returns what a loan's books say of a day, as they were known at a
-- moment: the sum of its transactions that take effect by that day and were
-- posted by that moment. Debits are positive.
--
-- name: GetBalances :one
SELECT count(*) AS transactions,
  coalesce(sum(cash_cents), 0)::bigint AS cash_cents,
  coalesce(sum(principal_cents), 0)::bigint AS principal_cents,
  coalesce(sum(interest_income_cents), 0)::bigint AS interest_income_cents,
  coalesce(sum(escrow_cents), 0)::bigint AS escrow_cents,
  coalesce(sum(suspense_cents), 0)::bigint AS suspense_cents,
  coalesce(sum(late_charges_receivable_cents), 0)::bigint AS late_charges_receivable_cents,
  coalesce(sum(late_charge_income_cents), 0)::bigint AS late_charge_income_cents,
  coalesce(sum(fees_receivable_cents), 0)::bigint AS fees_receivable_cents,
  coalesce(sum(fee_income_cents), 0)::bigint AS fee_income_cents,
  coalesce(sum(escrow_advance_cents), 0)::bigint AS escrow_advance_cents
FROM transactions
WHERE loan_id = @loan_id AND effective_on <= @as_of_on AND posted_at <= @known_at;
