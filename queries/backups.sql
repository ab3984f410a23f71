-- GetTrialBalanceText returns the balance of each account of the ledger, as text:
-- by it people know the books again that were restored.
--
-- name: GetTrialBalanceText :one
SELECT coalesce(string_agg(account || ' ' || balance_cents, ', ' ORDER BY account), 'empty')::text AS balances
FROM trial_balance;

-- GetChainHeadsText returns how many loans there are, and a SHA-256 over the head
-- of each one's chain of transactions.
--
-- name: GetChainHeadsText :one
SELECT (count(*) || ' loans, ' || encode(sha256(convert_to(coalesce(
  string_agg(id || ' ' || last_seq || ' ' || encode(last_hash, 'hex'), E'\n' ORDER BY id), ''), 'UTF8')), 'hex'))::text
  AS heads
FROM loans;

-- CountBrokenSeals returns how many transactions, or heads of chains, are not
-- sealed as they should be.
--
-- name: CountBrokenSeals :one
SELECT count(*) FROM broken_seals;

-- CountUnreconciledLoans returns how many loans are not the sum of their
-- transactions.
--
-- name: CountUnreconciledLoans :one
SELECT count(*) FROM unreconciled_loans;

-- CountImbalanceCents returns by how much debits and credits of the ledger differ.
--
-- name: CountImbalanceCents :one
SELECT coalesce(abs(sum(balance_cents)), 0)::bigint AS cents FROM trial_balance;
