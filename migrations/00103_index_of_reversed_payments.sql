-- +goose NO TRANSACTION
-- +goose Up
-- Operators list payments that were reversed, which are few.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on.
-- Where building it was interrupted, an index is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS payments_reversed_idx;
CREATE INDEX CONCURRENTLY payments_reversed_idx ON payments (id) WHERE reversed_at IS NOT NULL;
