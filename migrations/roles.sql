-- The database roles, shared by every database of a server. This runs before
-- the numbered migrations and every time, and does nothing once all is there:
-- a small deployment has one login that creates the roles and becomes a member
-- of them; a strict one has them made by its administrator, and then this only
-- looks.
--
-- Nobody logs in as these. A login is granted one of them:
--   loanserve_owner     owns every table; only migrations become it
--   loanserve_migrator  may become the owner, and has no rights of its own
--   loanserve_app       what serving and working run as: no DELETE or TRUNCATE
--                       on servicing data, no UPDATE on the ledger
--   loanserve_readonly  reads everything but credentials
--   loanserve_backup    reads everything
DO $roles$
DECLARE
  wanted text;
  -- Since version 16 who creates a role is its member, and may grant it, but may
  -- not become it.
  become text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END;
BEGIN
  FOREACH wanted IN ARRAY ARRAY[
    'loanserve_owner', 'loanserve_migrator', 'loanserve_app', 'loanserve_readonly', 'loanserve_backup'
  ] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- Another database of this server was migrated at the same moment.
      END;
    END IF;
  END LOOP;

  IF NOT pg_has_role('loanserve_migrator', 'loanserve_owner', become) THEN
    GRANT loanserve_owner TO loanserve_migrator;
  END IF;

  -- A superuser may become anybody without a grant.
  IF NOT pg_has_role(session_user, 'loanserve_owner', become) THEN
    EXECUTE format('GRANT loanserve_owner, loanserve_app TO %I', session_user);
  END IF;

  IF NOT has_database_privilege('loanserve_owner', current_database(), 'CREATE') THEN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO loanserve_owner', current_database());
  END IF;
  IF NOT has_schema_privilege('loanserve_owner', 'public', 'CREATE') THEN
    GRANT CREATE, USAGE ON SCHEMA public TO loanserve_owner;
  END IF;
  -- A GRANT of what one may not grant is only a warning.
  IF NOT has_database_privilege('loanserve_owner', current_database(), 'CREATE')
    OR NOT has_schema_privilege('loanserve_owner', 'public', 'CREATE') THEN
    RAISE EXCEPTION 'loanserve_owner may not create tables in database %', current_database()
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END
$roles$;
