-- The event triggers that call the functions of the schema ddl_guard. PostgreSQL
-- lets only superusers create event triggers, and the migrations run as
-- loanserve_owner, who is none. So this runs after them, as the login itself, every
-- time, and does nothing once all is there; where the login may not, an
-- administrator runs it once:
--
--   psql -f migrations/event_triggers.sql
--
-- The schema and its functions become the login's own: with a function goes the event
-- trigger that calls it, so that the owner of the tables must not be able to drop one.
--
-- ENABLE ALWAYS makes them fire also where session_replication_role would silence
-- them. One that was disabled for a repair is enabled again.
DO $triggers$
DECLARE
  wanted record;
BEGIN
  -- Two that migrate at the same moment would both create them.
  PERFORM pg_advisory_xact_lock(7201969003);
  IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'ddl_guard' AND nspowner = 'loanserve_owner'::regrole) THEN
    EXECUTE format('ALTER SCHEMA ddl_guard OWNER TO %I', current_user);
    GRANT USAGE, CREATE ON SCHEMA ddl_guard TO loanserve_owner;
  END IF;
  FOR wanted IN
    SELECT p.oid::regprocedure::text AS function FROM pg_proc p
    WHERE p.pronamespace = 'ddl_guard'::regnamespace AND p.proowner = 'loanserve_owner'::regrole
  LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO %I', wanted.function, current_user);
  END LOOP;

  FOR wanted IN
    SELECT * FROM (VALUES
      ('loanserve_1_remember', 'ddl_command_start', 'remember'),
      ('loanserve_2_refuse_drops', 'sql_drop', 'refuse_drops'),
      ('loanserve_3_log_drops', 'sql_drop', 'log_drops'),
      ('loanserve_4_refuse_weakening', 'ddl_command_end', 'refuse_weakening'),
      ('loanserve_5_log_ddl', 'ddl_command_end', 'log_ddl')) w (name, event, function)
    ORDER BY name
  LOOP
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = wanted.name) THEN
      EXECUTE format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION ddl_guard.%I()',
        wanted.name, wanted.event, wanted.function);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = wanted.name AND evtenabled = 'A') THEN
      EXECUTE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', wanted.name);
    END IF;
  END LOOP;
END
$triggers$;
