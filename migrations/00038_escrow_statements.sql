-- +goose Up
-- A statement is kept as data beside its HTML and PDF, so that it stays as the
-- borrower got it in each of its three forms.
--
-- A column of a table that nothing has written yet, and its index: the exclusive lock
-- is held for a moment. The previous release knows neither.
ALTER TABLE escrow_statements
  ADD COLUMN json_id uuid NOT NULL REFERENCES documents ON DELETE RESTRICT;
CREATE INDEX escrow_statements_json_id_idx ON escrow_statements (json_id);
