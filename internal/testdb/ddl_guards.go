package testdb

import "testing"

// SwitchOffDDLGuards disables the event triggers of the test's own database, as only
// a superuser can, so that the test may tamper with tables and triggers.
func (d *DB) SwitchOffDDLGuards(t testing.TB) {
	t.Helper()
	_, err := d.Super.Exec(t.Context(), `
DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT evtname FROM pg_event_trigger WHERE starts_with(evtname, 'loanserve_') LOOP
    EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', name);
  END LOOP;
END
$$`)
	if err != nil {
		t.Fatalf("testdb: switch off the guards of the schema: %v", err)
	}
}
