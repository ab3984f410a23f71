-- +goose NO TRANSACTION
-- +goose Up
-- Operators look for loans by how a name begins. Bytes are compared, so that the search
-- does not depend on the database's collation.
--
-- Takes no lock that writers wait for. Nothing is rewritten. The previous release runs on.
-- Where building it was interrupted, an index is left that holds nothing: it goes first.
DROP INDEX CONCURRENTLY IF EXISTS loans_name_idx;
CREATE INDEX CONCURRENTLY loans_name_idx ON loans (lower(name) text_pattern_ops);
