-- +goose Up
-- Guards that refuse to lose servicing data to anybody: roles without the
-- privilege, the owner, and a superuser alike. ENABLE ALWAYS makes them fire
-- also where session_replication_role would silence ordinary triggers. They
-- fire once per statement, so that even one that matches no row is refused.
--
-- Adds triggers to tables that are empty or small in lock time; the previous
-- release never deletes, so it runs on unchanged.

-- +goose StatementBegin
CREATE FUNCTION refuse_removal() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: servicing data is never removed', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = TG_ARGV[0];
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION refuse_rewriting() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: the ledger is only ever added to', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = TG_ARGV[0];
END
$$;
-- +goose StatementEnd

CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON transactions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting(
    'Correct a wrong transaction with one that reverses it, then post what is right.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON loans
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'A loan that has ended keeps its history: set its status to ''paid_off'' or ''archived'' instead.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON payments
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'A payment that should not count is reversed, or rejected before it is posted.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON payment_reversals
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'A reversal that was posted is part of the loan''s history.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON documents
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Add the corrected document beside the wrong one.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON borrowers
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Correct a borrower''s row with UPDATE; one who owes nothing any more stays for the record.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON properties
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Correct a property''s row with UPDATE; it stays as long as its loan does.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON loan_borrowers
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Add the right borrower beside the wrong one; who was on a loan stays for the record.');
CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON escrow_lines
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Add the line that replaces it; what was once collected for stays for the record.');

ALTER TABLE transactions ENABLE ALWAYS TRIGGER refuse_rewriting;
ALTER TABLE loans ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE payments ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE payment_reversals ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE documents ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE borrowers ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE properties ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE loan_borrowers ENABLE ALWAYS TRIGGER refuse_removal;
ALTER TABLE escrow_lines ENABLE ALWAYS TRIGGER refuse_removal;
