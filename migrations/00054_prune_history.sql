-- +goose Up
-- One more kind of runs: it makes the months of the history that are to come, and drops
-- those that are old. A value of an enumeration can be used only after the transaction
-- that adds it, so this is a migration of its own. It takes no lock that a query waits
-- for. The previous release runs on: it never makes such runs, and lists those of others.
ALTER TYPE run_kind ADD VALUE 'prune_history';

-- +goose StatementBegin
-- oldest_history returns when the oldest month begins that is kept.
CREATE FUNCTION oldest_history() RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
  SELECT min(to_timestamp(right(c.relname, 7), 'YYYY_MM')) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'public.history'::regclass AND c.relname ~ '^history_p[0-9]{4}_[0-9]{2}$';
END;
-- +goose StatementEnd
