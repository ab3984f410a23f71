-- +goose NO TRANSACTION
-- +goose Up
-- Operators list the runs of a kind. Checks of the schema are most of all runs, a hundred
-- thousand in a year.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on.
-- Where building it was interrupted, an index is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS runs_kind_idx;
CREATE INDEX CONCURRENTLY runs_kind_idx ON runs (kind, id);
