-- +goose NO TRANSACTION
-- +goose Up
-- Operators list the runs that failed or are under way, which are few.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on.
-- Where building it was interrupted, an index is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS runs_unfinished_idx;
CREATE INDEX CONCURRENTLY runs_unfinished_idx ON runs (id) WHERE status <> 'finished';
