-- +goose NO TRANSACTION
-- +goose Up
-- Operators look for payments by the reference that a bank or a borrower names. Without an
-- index that reads every payment. A reference never changes, so posting stays as cheap
-- (HOT); storing a payment that has one writes one index entry more.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on.
-- Where building it was interrupted, an index is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS payments_reference_idx;
CREATE INDEX CONCURRENTLY payments_reference_idx ON payments (external_ref, id) WHERE external_ref IS NOT NULL;
