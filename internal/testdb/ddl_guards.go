package testdb

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// SwitchOffDDLGuards disables the event triggers of the test's own database, as only
// a superuser can, so that the test may tamper with tables and triggers.
func (d *DB) SwitchOffDDLGuards(t testing.TB) {
	t.Helper()
	_, err := d.Super.Exec(t.Context(), setDDLGuards("DISABLE"))
	if err != nil {
		t.Fatalf("testdb: switch off the guards of the schema: %v", err)
	}
}

// Tamper runs statements as a superuser who disables the event triggers for them, and
// enables them again, so that nothing tells of it but what he has done.
func (d *DB) Tamper(t testing.TB, sql string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), d.Super, func(tx pgx.Tx) error {
		for _, sql := range []string{setDDLGuards("DISABLE"), sql, setDDLGuards("ENABLE ALWAYS")} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("testdb: tamper: %v", err)
	}
}

// setDDLGuards is a statement that enables or disables the event triggers.
func setDDLGuards(state string) string {
	return `
DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT evtname FROM pg_event_trigger WHERE starts_with(evtname, 'loanserve_') LOOP
    EXECUTE format('ALTER EVENT TRIGGER %I ` + state + `', name);
  END LOOP;
END
$$`
}
