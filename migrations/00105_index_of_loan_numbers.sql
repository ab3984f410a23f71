-- +goose NO TRANSACTION
-- +goose Up
-- The same by how a loan's number begins, for which the unique index does not serve unless
-- the database compares bytes.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on.
-- Where building it was interrupted, an index is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS loans_number_prefix_idx;
CREATE INDEX CONCURRENTLY loans_number_prefix_idx ON loans (loan_number text_pattern_ops);
