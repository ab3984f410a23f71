-- +goose Up
-- What the servicer has advanced for a loan's bills: a receivable beside escrow.
-- The new column has a constant default, so that no row is rewritten; it takes an
-- exclusive lock for a moment. The previous release leaves it at its default.
ALTER TABLE loans ADD COLUMN escrow_advance_cents bigint NOT NULL DEFAULT 0 CHECK (escrow_advance_cents >= 0);

CREATE OR REPLACE VIEW unreconciled_loans AS
SELECT l.id AS loan_id, l.loan_number
FROM loans l
LEFT JOIN (
  SELECT loan_id, sum(principal_cents) AS principal_cents, -sum(escrow_cents) AS escrow_cents,
    sum(escrow_advance_cents) AS escrow_advance_cents,
    -sum(suspense_cents) AS suspense_cents, sum(late_charges_receivable_cents) AS late_charges_due_cents,
    sum(fees_receivable_cents) AS fees_due_cents, max(seq) AS last_seq, count(*) AS transactions
  FROM transactions GROUP BY loan_id
) t ON t.loan_id = l.id
WHERE (l.principal_cents, l.escrow_cents, l.escrow_advance_cents, l.suspense_cents, l.late_charges_due_cents,
    l.fees_due_cents, l.last_seq::bigint, l.last_seq::bigint)
  IS DISTINCT FROM
  (t.principal_cents, t.escrow_cents, t.escrow_advance_cents, t.suspense_cents, t.late_charges_due_cents,
    t.fees_due_cents, t.last_seq::bigint, t.transactions)
  OR l.terms_changes <> terms_changes_of(l.id);

GRANT UPDATE (escrow_advance_cents) ON loans TO loanserve_app;
