-- LockRecovery has whoever brings rows back wait for another who does, until the
-- transaction ends.
--
-- name: LockRecovery :exec
SELECT pg_advisory_xact_lock(7201969006);

-- CountFaultsOfLoans counts what is not in order of these loans and their books: loans
-- that are not there, broken seals, balances that are not the sum of the ledger, terms
-- that are not those that were boarded, and loans that are not in the register once.
-- Imbalance is the difference of all debits and credits.
--
-- name: CountFaultsOfLoans :one
SELECT
  (SELECT count(*) FROM unnest(@loan_ids::bigint[]) i (id)
    WHERE NOT EXISTS (SELECT FROM loans l WHERE l.id = i.id)) AS missing,
  (SELECT count(*) FROM broken_seals s WHERE s.loan_id = ANY (@loan_ids::bigint[])) AS broken_seals,
  (SELECT count(*) FROM unreconciled_loans u WHERE u.loan_id = ANY (@loan_ids::bigint[])) AS unreconciled,
  (SELECT count(*) FROM changed_terms c WHERE c.loan_id = ANY (@loan_ids::bigint[])) AS changed_terms,
  (SELECT count(*) FROM unnest(@loan_ids::bigint[]) i (id)
    WHERE (SELECT count(*) FROM loan_register r WHERE r.loan_id = i.id) <> 1) AS unregistered,
  (SELECT count(*) FROM broken_register_entries) AS broken_register_entries,
  (SELECT coalesce(sum(debit_cents) - sum(credit_cents), 0)::bigint FROM trial_balance) AS imbalance_cents;

-- ListRecoveries returns when the rows that transactions took were brought back, of all
-- or of the named loans, the latest first.
--
-- name: ListRecoveries :many
SELECT occurred_at FROM auth_events
WHERE kind = 'rows_recovered' AND details -> 'xids' @> @xids::jsonb AND details ->> 'loans' IN ('', @loans::text)
ORDER BY id DESC LIMIT @row_limit;
