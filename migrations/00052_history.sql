-- +goose Up
-- What rows were before they were changed or deleted, and who did it, so that a
-- transaction that deleted what it should not can be undone row by row (undelete),
-- with all that was written later kept. It also names the culprit.
--
-- Adds a table and triggers to the tables of servicing data, users and their rights;
-- each is locked for a moment, and nothing is rewritten. The previous release runs on.
SET LOCAL lock_timeout = '3s';

CREATE SCHEMA history_parts;
GRANT USAGE ON SCHEMA history_parts TO loanserve_backup;

-- Rows are found by transaction.
CREATE TABLE public.history (
  xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id          bigint GENERATED ALWAYS AS IDENTITY,
  changed_at  timestamptz NOT NULL DEFAULT now(),
  relation    text NOT NULL, -- a table of the schema public
  operation   text NOT NULL CHECK (operation IN ('UPDATE', 'DELETE')),
  primary_key jsonb NOT NULL,
  old_row     jsonb NOT NULL,
  login       text NOT NULL DEFAULT session_user,
  role        text NOT NULL DEFAULT current_setting('role'),
  application text NOT NULL DEFAULT current_setting('application_name'),
  PRIMARY KEY (xid, id, changed_at)
) PARTITION BY RANGE (changed_at);

-- What comes when no partition is there for it, so that no change fails for that.
-- In a block of code, because sqlc looks for the table in the schema of its partition.
DO 'BEGIN CREATE TABLE history_parts.history_default PARTITION OF public.history DEFAULT; END';

-- +goose StatementBegin
-- guard_history_part keeps a part of the history from being changed. A part is dropped
-- as a whole, by drop_history.
CREATE FUNCTION guard_history_part(part regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER refuse_rewriting BEFORE UPDATE OR DELETE OR TRUNCATE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_rewriting(''The job prune_history drops months that are old.'')', part);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_rewriting', part);
  EXECUTE format('GRANT SELECT ON %s TO loanserve_backup', part);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- extend_history makes the partitions of this month and of as many after it, and
-- returns how many were missing. A month of which the default partition holds rows
-- already stays there. The application may call it, and gets no right by that.
CREATE FUNCTION extend_history(months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET lock_timeout = '3s'
AS $$
DECLARE
  first timestamptz;
  name  text;
  made  integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7201969004);
  FOR first IN SELECT date_trunc('month', now()) + make_interval(months => n) FROM generate_series(0, least(months, 60)) n LOOP
    name := 'history_p' || to_char(first, 'YYYY_MM');
    CONTINUE WHEN to_regclass('history_parts.' || name) IS NOT NULL OR EXISTS (
      SELECT FROM history_parts.history_default
      WHERE changed_at >= first AND changed_at < first + interval '1 month');
    EXECUTE format('CREATE TABLE history_parts.%I (LIKE public.history INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format('ALTER TABLE public.history ATTACH PARTITION history_parts.%I FOR VALUES FROM (%L) TO (%L)',
      name, first, first + interval '1 month');
    PERFORM public.guard_history_part(format('history_parts.%I', name)::regclass);
    made := made + 1;
  END LOOP;
  RETURN made;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- old_history is the months that ended before a moment.
CREATE FUNCTION old_history(before_at timestamptz) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
  SELECT c.oid::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'public.history'::regclass AND c.relname ~ '^history_p[0-9]{4}_[0-9]{2}$'
    AND to_timestamp(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= before_at
  ORDER BY c.relname;
END;
-- +goose StatementEnd

-- +goose StatementBegin
-- count_history counts the rows that drop_history would drop.
CREATE FUNCTION count_history(before_at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  part  regclass;
  rows  bigint;
  total bigint := 0;
BEGIN
  FOR part IN SELECT public.old_history(before_at) LOOP
    EXECUTE format('SELECT count(*) FROM %s', part) INTO rows;
    total := total + rows;
  END LOOP;
  RETURN total;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- drop_history drops the months that ended before a moment, and returns how many rows
-- they held. Whoever calls it, the last 90 days stay.
CREATE FUNCTION drop_history(before_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
  part  regclass;
  rows  bigint;
  total bigint := 0;
BEGIN
  FOR part IN SELECT public.old_history(least(before_at, now() - interval '90 days')) LOOP
    EXECUTE format('SELECT count(*) FROM %s', part) INTO rows;
    PERFORM set_config('loanserve.allow_drop', part::text, true);
    EXECUTE format('DROP TABLE %s', part);
    total := total + rows;
  END LOOP;
  PERFORM set_config('loanserve.allow_drop', '', true);
  RETURN total;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- keep_history keeps what a statement changed or deleted. The arguments are the columns
-- of the key. What a row became is in the next row of its history, or in the table: to
-- keep that as well, or only what differs, costs an update twice as much.
CREATE FUNCTION keep_history() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO public.history (relation, operation, primary_key, old_row)
  SELECT TG_TABLE_NAME, TG_OP, (SELECT jsonb_object_agg(k, o.row -> k) FROM unnest(TG_ARGV) k), o.row
  FROM (SELECT to_jsonb(old_rows) AS row FROM old_rows OFFSET 0) o; -- each row is made JSON once
  RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- keep_history_of has a table's history kept; with updates false, of deletions only.
CREATE FUNCTION keep_history_of(relation regclass, updates boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key text := (
    SELECT string_agg(quote_literal(a.attname), ', ' ORDER BY k.n)
    FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY k (attnum, n)
    JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.attnum
    WHERE c.conrelid = relation AND c.contype = 'p');
BEGIN
  EXECUTE format('CREATE TRIGGER keep_deleted_rows AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION public.keep_history(%s)', relation, key);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER keep_deleted_rows', relation);
  IF updates THEN
    EXECUTE format('CREATE TRIGGER keep_updated_rows AFTER UPDATE ON %s
      REFERENCING OLD TABLE AS old_rows
      FOR EACH STATEMENT EXECUTE FUNCTION public.keep_history(%s)', relation, key);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER keep_updated_rows', relation);
  END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- guard_table gives a new table of servicing data all its guards; hint says what to do
-- instead of removing its rows.
CREATE FUNCTION guard_table(relation regclass, hint text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_removal(%L)', relation, hint);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_removal', relation);
  PERFORM public.limit_rows_of(relation), public.keep_history_of(relation);
END
$$;
-- +goose StatementEnd

SELECT guard_history_part('history'), guard_history_part('history_parts.history_default');
SELECT extend_history(12);

-- How far a run has come says nothing that must be put back: of runs and their parts
-- only deletions are kept.
SELECT keep_history_of(tgrelid, tgrelid NOT IN ('runs'::regclass, 'run_chunks'::regclass, 'run_purges'::regclass)) FROM pg_trigger
WHERE tgfoid IN ('refuse_removal'::regproc, 'refuse_rewriting'::regproc)
  AND tgrelid NOT IN ('history'::regclass, 'ddl_guard.ddl_log'::regclass)
  AND tgrelid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'history_parts'::regnamespace)
UNION ALL
SELECT keep_history_of(relation) FROM unnest(ARRAY['users', 'user_roles', 'user_ip_allowlist', 'api_tokens']::regclass[]) relation;

-- Only the owner puts back what was deleted; the application only adds to history, by
-- its triggers.
REVOKE ALL ON FUNCTION drop_history, count_history, extend_history FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_history, count_history, extend_history TO loanserve_app;
GRANT SELECT ON history, history_id_seq TO loanserve_backup;
GRANT SELECT (xid, id, changed_at, relation, operation, primary_key, login, role, application) ON history TO loanserve_readonly;
