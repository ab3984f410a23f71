-- +goose Up
-- Functions that refuse to drop what holds servicing data and to weaken a guard,
-- and that write down who changed the schema. Event triggers call them. Only a
-- superuser can create those, so they are in event_triggers.sql, which is run after
-- the migrations wherever the login may; without them these functions do nothing.
--
-- event_triggers.sql also takes the functions from the owner. Dropping one would take
-- the event trigger along before anything could refuse it. A later migration that
-- wants another function adds one under another name.
--
-- A new schema with one table and functions; no lock on anything there is. The
-- previous release does not see it and runs on.
CREATE SCHEMA ddl_guard;
GRANT USAGE ON SCHEMA ddl_guard TO loanserve_app, loanserve_readonly, loanserve_backup;

CREATE TABLE ddl_guard.ddl_log (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  login       text NOT NULL DEFAULT session_user,
  role        text NOT NULL, -- what the login had become, or 'none'
  application text NOT NULL,
  client_ip   inet,          -- null over a Unix socket
  command     text NOT NULL, -- the command tag: 'ALTER TABLE'
  object      text NOT NULL, -- 'table public.loans'
  query       text NOT NULL  -- its first thousand characters
);
CREATE TRIGGER refuse_removal BEFORE UPDATE OR DELETE OR TRUNCATE ON ddl_guard.ddl_log
  FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_removal(
    'It says who changed the schema, and is only ever added to.');
ALTER TABLE ddl_guard.ddl_log ENABLE ALWAYS TRIGGER refuse_removal;
GRANT SELECT ON ddl_guard.ddl_log TO loanserve_readonly, loanserve_backup;
GRANT SELECT ON ddl_guard.ddl_log_id_seq TO loanserve_backup;

-- +goose StatementBegin
-- guarded says whether a schema holds what is guarded. The job queue's is River's
-- own to change.
CREATE FUNCTION ddl_guard.guarded(name text) RETURNS boolean
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
RETURN name IN ('public', 'ddl_guard', 'history_parts');
-- +goose StatementEnd

-- +goose StatementBegin
-- allowed says whether loanserve.allow_drop, a list with semicolons, names the object.
CREATE FUNCTION ddl_guard.allowed(identity text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN identity <> '' AND identity = ANY (
  regexp_split_to_array(btrim(coalesce(current_setting('loanserve.allow_drop', true), '')), '\s*;\s*'));
-- +goose StatementEnd

-- +goose StatementBegin
-- guards is every guard with what it is: the triggers that fire ALWAYS, the functions
-- that they call, and the functions of this schema. A definition counts with its
-- state and without its comments.
CREATE FUNCTION ddl_guard.guards() RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH triggers AS (
    SELECT t.tgfoid, format('%I on %I.%I', t.tgname, n.nspname, c.relname) AS identity,
      md5(pg_get_triggerdef(t.oid)) AS definition
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgenabled = 'A' AND NOT t.tgisinternal AND ddl_guard.guarded(n.nspname::text)
  ), functions AS (
    SELECT format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) AS identity,
      md5(pg_get_functiondef(p.oid)) AS definition
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'ddl_guard' OR p.oid IN (SELECT tgfoid FROM triggers)
  )
  SELECT coalesce(jsonb_object_agg(identity, definition), '{}')
  FROM (SELECT identity, definition FROM triggers UNION ALL SELECT identity, definition FROM functions) g;
END;
-- +goose StatementEnd

-- +goose StatementBegin
-- remember keeps what the guards are before a command, for refuse_weakening.
CREATE FUNCTION ddl_guard.remember() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM set_config('loanserve.guards_before', ddl_guard.guards()::text, true);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- refuse_weakening refuses a command after which a guard is missing, disabled, fires
-- no longer ALWAYS, or does something else.
CREATE FUNCTION ddl_guard.refuse_weakening() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  now_there jsonb := ddl_guard.guards();
  weakened  text;
BEGIN
  SELECT string_agg(b.key, '; ' ORDER BY b.key) INTO weakened
  FROM jsonb_each_text(coalesce(nullif(current_setting('loanserve.guards_before', true), ''), '{}')::jsonb) b
  WHERE now_there ->> b.key IS DISTINCT FROM b.value AND NOT ddl_guard.allowed(b.key)
    AND NOT ddl_guard.allowed(split_part(b.key, ' on ', 2)); -- its table, dropped by name
  IF weakened IS NOT NULL THEN
    RAISE EXCEPTION '% is refused: it weakens the guard %', TG_TAG, left(weakened, 500)
      USING ERRCODE = 'restrict_violation',
        HINT = 'A migration that changes a guard on purpose names it: SET LOCAL loanserve.allow_drop = ''...; ...''.';
  END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- refuse_drops refuses to drop what is not named. What goes with a named object and
-- is of the same table needs no name of its own; what is of another table does.
CREATE FUNCTION ddl_guard.refuse_drops() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  lost text;
BEGIN
  WITH dropped AS (
    SELECT object_type, object_identity, original, address_names[1:2] AS relation,
      ddl_guard.allowed(object_identity) AS allowed
    FROM pg_event_trigger_dropped_objects()
    WHERE NOT is_temporary AND (ddl_guard.guarded(schema_name) OR object_type = 'schema' AND ddl_guard.guarded(object_name))
      AND (original OR object_type IN ('table', 'table column', 'table constraint', 'trigger', 'function', 'view'))
      AND object_type NOT IN ('index', 'default value') AND NOT starts_with(coalesce(address_names[3], ''), 'RI_ConstraintTrigger_')
  )
  SELECT string_agg(d.object_type || ' ' || d.object_identity, '; ' ORDER BY d.original DESC, d.object_identity) INTO lost
  FROM dropped d
  WHERE NOT d.allowed AND NOT (NOT d.original AND EXISTS (
    SELECT FROM dropped o WHERE o.original AND o.allowed AND o.relation = d.relation));
  IF lost IS NOT NULL THEN
    RAISE EXCEPTION '% is refused: it would drop %', TG_TAG, left(lost, 500)
      USING ERRCODE = 'restrict_violation',
        HINT = 'A migration that drops on purpose names each object: SET LOCAL loanserve.allow_drop = ''...; ...''.';
  END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- log_ddl writes down what was done. It also refuses what would replace the function
-- that refuses: a function that was replaced cannot see that it was. So it calls none.
CREATE FUNCTION ddl_guard.log_ddl() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  named text[] := regexp_split_to_array(btrim(coalesce(current_setting('loanserve.allow_drop', true), '')), '\s*;\s*');
  done  record;
BEGIN
  FOR done IN
    SELECT DISTINCT command_tag, coalesce(object_type || ' ' || object_identity, object_type) AS object, schema_name,
      object_type, object_identity
    FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp'
  LOOP
    IF done.schema_name = 'ddl_guard' AND done.object_type = 'function' AND NOT done.object_identity = ANY (named) THEN
      RAISE EXCEPTION '% is refused: it changes the guard %', TG_TAG, done.object_identity
        USING ERRCODE = 'restrict_violation',
          HINT = 'A migration that changes a guard on purpose names it: SET LOCAL loanserve.allow_drop = ''...; ...''.';
    END IF;
    INSERT INTO ddl_guard.ddl_log (role, application, client_ip, command, object, query)
    VALUES (current_setting('role'), current_setting('application_name'), inet_client_addr(), done.command_tag,
      left(done.object, 200), left(current_query(), 1000));
  END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- log_drops writes down what was dropped.
CREATE FUNCTION ddl_guard.log_drops() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO ddl_guard.ddl_log (role, application, client_ip, command, object, query)
  SELECT current_setting('role'), current_setting('application_name'), inet_client_addr(), TG_TAG,
    left(object_type || ' ' || object_identity, 200), left(current_query(), 1000)
  FROM pg_event_trigger_dropped_objects() WHERE original AND NOT is_temporary;
END
$$;
-- +goose StatementEnd
