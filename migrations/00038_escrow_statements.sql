-- +goose Up
-- A statement is kept as data beside its HTML and PDF, so that it stays as the
-- borrower got it in each of its three forms.
--
-- A column of a table that nothing has written yet, and its index: the exclusive lock
-- is held for a moment. The previous release knows neither.
ALTER TABLE escrow_statements
  ADD COLUMN json_id uuid NOT NULL REFERENCES documents ON DELETE RESTRICT;
CREATE INDEX escrow_statements_json_id_idx ON escrow_statements (json_id);

-- The statements that finished analyses owe the borrowers, made or not, delivered or
-- not.
CREATE VIEW owed_escrow_statements AS
SELECT a.id AS analysis_id, a.loan_id, a.kind, a.as_of_on, a.statement_due_on AS due_on,
  s.made_at, s.delivered_on, s.delivered_by
FROM escrow_analyses a
LEFT JOIN escrow_statements s ON s.analysis_id = a.id
WHERE a.status = 'finished' AND NOT a.dry_run AND a.statement_due_on IS NOT NULL;

GRANT SELECT ON owed_escrow_statements TO loanserve_app, loanserve_readonly, loanserve_backup;
