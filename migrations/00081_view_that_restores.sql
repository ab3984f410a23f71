-- +goose Up
-- A comparison of rows is shown with other parentheses after it went through a dump,
-- so that a database that was restored from one drifted from what the migrations make,
-- and the program refused to start on it. Written out, the view is the same before and
-- after. It locks the view only, for a moment, and is the same to the previous release.
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
WHERE l.principal_cents IS DISTINCT FROM t.principal_cents
  OR l.escrow_cents IS DISTINCT FROM t.escrow_cents
  OR l.escrow_advance_cents IS DISTINCT FROM t.escrow_advance_cents
  OR l.suspense_cents IS DISTINCT FROM t.suspense_cents
  OR l.late_charges_due_cents IS DISTINCT FROM t.late_charges_due_cents
  OR l.fees_due_cents IS DISTINCT FROM t.fees_due_cents
  OR l.last_seq IS DISTINCT FROM t.last_seq
  OR l.last_seq IS DISTINCT FROM t.transactions
  OR l.terms_changes <> terms_changes_of(l.id);
