-- +goose NO TRANSACTION
-- +goose Up
-- Exceptions of files wait for a person, and an alert says for how long the oldest has.
-- Finding them read every item that was ever taken. The index leaves out their status:
-- every posting changes it, and would touch the index (docs/performance.md). What it
-- names instead is set once, and of what is posted never.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release does
-- not use the index and runs on. Where building it was interrupted, an index is left that
-- holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS payment_batch_items_exception_idx;
CREATE INDEX CONCURRENTLY payment_batch_items_exception_idx ON payment_batch_items (batch_id)
  WHERE reason IS NOT NULL AND resolved_at IS NULL AND payment_id IS NULL;
