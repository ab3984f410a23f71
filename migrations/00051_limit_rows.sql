-- +goose Up
-- A limit on how many rows one statement may change, so that an UPDATE whose WHERE was
-- forgotten is refused and not regretted. Work that means to change more says how many
-- in its own transaction (loanserve.max_rows). It stops accidents and no intruder:
-- whoever may UPDATE may also raise the limit.
--
-- Adds triggers to all tables that hold servicing data, users and their rights; each
-- is locked for a moment, and nothing is rewritten. The previous release cannot run on
-- it: its statements that change hundreds of rows are refused. Stop it before.
SET LOCAL lock_timeout = '3s';

-- +goose StatementBegin
-- limit_rows fires once per statement, with the rows that it changed.
CREATE FUNCTION limit_rows() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  most bigint := coalesce(nullif(current_setting('loanserve.max_rows', true), ''), '10');
BEGIN
  IF EXISTS (SELECT FROM changed OFFSET most) THEN
    RAISE EXCEPTION '% on % is refused: it changes more than % rows', TG_OP, TG_TABLE_NAME, most
      USING ERRCODE = 'restrict_violation',
        HINT = 'If that is meant, raise the limit in the same transaction: SET LOCAL loanserve.max_rows = ''...''.';
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- limit_rows_of puts the limit on a table.
CREATE FUNCTION limit_rows_of(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER limit_updated_rows AFTER UPDATE ON %s REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION public.limit_rows()', relation);
  EXECUTE format('CREATE TRIGGER limit_deleted_rows AFTER DELETE ON %s REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION public.limit_rows()', relation);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER limit_updated_rows', relation);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER limit_deleted_rows', relation);
END
$$;
-- +goose StatementEnd

-- Every table of which nothing is ever removed, and those of users and their rights.
-- The audit trail is left out: when a user goes, all that he ever did lets go of him.
SELECT limit_rows_of(tgrelid) FROM pg_trigger
WHERE tgfoid IN ('refuse_removal'::regproc, 'refuse_rewriting'::regproc)
  AND tgrelid NOT IN ('auth_events'::regclass, 'ddl_guard.ddl_log'::regclass)
UNION ALL
SELECT limit_rows_of(relation) FROM unnest(ARRAY['users', 'user_roles', 'user_ip_allowlist', 'api_tokens']::regclass[]) relation;
