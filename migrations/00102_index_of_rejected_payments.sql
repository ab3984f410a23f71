-- +goose NO TRANSACTION
-- +goose Up
-- Operators list payments that a rule refused, which are few. The index says so by the
-- reason, which only they have, and not by the status, which posting changes: a payment
-- that is posted stays in its page (HOT).
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on.
-- Where building it was interrupted, an index is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS payments_rejected_idx;
CREATE INDEX CONCURRENTLY payments_rejected_idx ON payments (id) WHERE reason IS NOT NULL;
