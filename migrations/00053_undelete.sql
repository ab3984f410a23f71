-- +goose Up
-- Puts back what a transaction deleted. New functions and a table, and one function
-- that no longer fails when a user comes back whose name was kept. No lock on anything
-- there is. The previous release does not see it and runs on.
CREATE TABLE undeletes (
  xid          xid8 PRIMARY KEY,
  undeleted_at timestamptz NOT NULL DEFAULT now(),
  login        text NOT NULL DEFAULT session_user,
  steps        text[] NOT NULL
);
SELECT guard_table('undeletes', 'It says what was put back, and is only ever added to.');
GRANT SELECT ON undeletes TO loanserve_backup, loanserve_readonly;

-- +goose StatementBegin
-- record_principal keeps the name of a user or a token, whoever stores it; one who was
-- deleted and is put back has it already.
CREATE OR REPLACE FUNCTION record_principal() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  INSERT INTO principals (principal, name) VALUES (TG_ARGV[0] || ':' || NEW.id, NEW.name)
  ON CONFLICT (principal) DO NOTHING;
  RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- insert_deleted puts back the rows of one table that a transaction deleted, and
-- returns how many. A column that was added since gets its default.
CREATE FUNCTION insert_deleted(of_xid xid8, table_name text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  sample jsonb := (SELECT old_row FROM public.history
    WHERE xid = of_xid AND relation = table_name AND operation = 'DELETE' ORDER BY id LIMIT 1);
  gone   text := (SELECT string_agg(k, ', ') FROM jsonb_object_keys(sample) k WHERE NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = format('public.%I', table_name)::regclass AND attname = k AND attnum > 0));
  names  text := (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = format('public.%I', table_name)::regclass AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '' AND sample ? attname::text);
  rows   bigint;
BEGIN
  IF gone IS NOT NULL THEN
    RAISE EXCEPTION 'cannot put back rows of %: its columns % were dropped since', table_name, gone
      USING ERRCODE = 'restrict_violation';
  END IF;
  EXECUTE format('INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE
    SELECT %2$s FROM (SELECT (jsonb_populate_record(NULL::public.%1$I, old_row)).* FROM public.history
      WHERE xid = $1 AND relation = %1$L AND operation = ''DELETE'' ORDER BY id) r', table_name, names) USING of_xid;
  GET DIAGNOSTICS rows = ROW_COUNT;
  RETURN rows;
EXCEPTION WHEN unique_violation OR foreign_key_violation OR check_violation OR not_null_violation THEN
  RAISE EXCEPTION 'cannot put back rows of %: %', table_name, SQLERRM
    USING ERRCODE = 'restrict_violation',
      HINT = 'What was written since stands in the way. Decide about that row first; nothing was changed.';
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- restore_references points rows again at what a transaction deleted, where the
-- deletion had set a reference to null and nobody has touched it since.
CREATE FUNCTION restore_references(of_xid xid8, table_name text, column_name text, target text, target_column text)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  keys text := (
    SELECT string_agg(format('t.%1$I = r.%1$I', a.attname), ' AND ')
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
    WHERE c.conrelid = format('public.%I', table_name)::regclass AND c.contype = 'p');
  rows bigint;
BEGIN
  EXECUTE format('UPDATE public.%1$I t SET %2$I = r.%2$I
    FROM public.history h, LATERAL jsonb_populate_record(NULL::public.%1$I, h.old_row) r
    WHERE h.xid = $1 AND h.relation = %1$L AND h.operation = ''UPDATE''
      AND h.old_row -> %2$L <> ''null'' AND %3$s AND t.%2$I IS NULL
      AND EXISTS (SELECT FROM public.history d WHERE d.xid = $1 AND d.relation = %4$L AND d.operation = ''DELETE''
        AND d.old_row -> %5$L = h.old_row -> %2$L)
      AND NOT EXISTS (SELECT FROM public.history l WHERE l.id > h.id AND l.relation = %1$L
        AND l.primary_key = h.primary_key AND l.old_row -> %2$L <> ''null'')',
    table_name, column_name, keys, target, target_column) USING of_xid;
  GET DIAGNOSTICS rows = ROW_COUNT;
  RETURN rows;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- undelete puts back what a transaction deleted, what is referred to first, and
-- returns what it did. What was written later stays. Done twice, the second time does
-- nothing. It refuses where anything stands in the way, and then changes nothing.
CREATE FUNCTION undelete(transaction_id text) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  of_xid  xid8 := transaction_id;
  waiting text[];
  next    text;
  fk      record;
  rows    bigint;
  steps   text[] := '{}';
BEGIN
  PERFORM pg_advisory_xact_lock(7201969005);
  IF EXISTS (SELECT FROM public.undeletes WHERE xid = of_xid) THEN
    RETURN steps;
  END IF;
  waiting := ARRAY(SELECT DISTINCT relation FROM public.history WHERE xid = of_xid AND operation = 'DELETE');
  IF waiting = '{}' THEN
    RAISE EXCEPTION 'the history knows no row that transaction % deleted', of_xid USING ERRCODE = 'restrict_violation',
      HINT = 'It may be too old, have used TRUNCATE, or have deleted from a table whose history is not kept.';
  END IF;
  PERFORM set_config('loanserve.max_rows', (SELECT count(*) FROM public.history WHERE xid = of_xid)::text, true);
  WHILE waiting <> '{}' LOOP
    SELECT w INTO next FROM unnest(waiting) w WHERE NOT EXISTS (
      SELECT FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid
      WHERE c.contype = 'f' AND c.conrelid = format('public.%I', w)::regclass AND c.conrelid <> c.confrelid
        AND r.relname = ANY (waiting))
    ORDER BY w LIMIT 1;
    IF next IS NULL THEN
      RAISE EXCEPTION 'the tables % refer to each other in a circle', waiting USING ERRCODE = 'restrict_violation';
    END IF;
    steps := steps || format('insert %s rows into %s', public.insert_deleted(of_xid, next), next);
    waiting := array_remove(waiting, next);
  END LOOP;
  FOR fk IN
    SELECT DISTINCT c.conname, t.relname AS name, a.attname AS col, r.relname AS target, ra.attname AS target_col
    FROM public.history h JOIN pg_class t ON t.relname = h.relation AND t.relnamespace = 'public'::regnamespace
    JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f' AND c.confdeltype = 'n' AND cardinality(c.conkey) = 1
    JOIN pg_class r ON r.oid = c.confrelid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
    JOIN pg_attribute ra ON ra.attrelid = r.oid AND ra.attnum = c.confkey[1]
    WHERE h.xid = of_xid AND h.operation = 'UPDATE'
    ORDER BY c.conname
  LOOP
    rows := public.restore_references(of_xid, fk.name, fk.col, fk.target, fk.target_col);
    IF rows > 0 THEN
      steps := steps || format('set %s of %s rows of %s as it was', fk.col, rows, fk.name);
    END IF;
  END LOOP;
  INSERT INTO public.undeletes (xid, steps) VALUES (of_xid, steps);
  RETURN steps;
END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION undelete, insert_deleted, restore_references FROM PUBLIC;
