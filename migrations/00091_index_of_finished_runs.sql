-- +goose NO TRANSACTION
-- +goose Up
-- Metrics tell when what the clock has done was last done. A kind of run that never was
-- had every run read to say so: about 0.6 seconds at 100,000 runs on a machine busy with
-- other work, and check_schema makes as many within a year.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on,
-- and finds the last check of the schema by it. Where building it was interrupted, an index
-- is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS runs_finished_idx;
CREATE INDEX CONCURRENTLY runs_finished_idx ON runs (kind, id) WHERE status = 'finished';
