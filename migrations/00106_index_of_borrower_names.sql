-- +goose NO TRANSACTION
-- +goose Up
-- The same by how a borrower's name begins.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on.
-- Where building it was interrupted, an index is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS borrowers_full_name_idx;
CREATE INDEX CONCURRENTLY borrowers_full_name_idx ON borrowers (lower(full_name) text_pattern_ops);
