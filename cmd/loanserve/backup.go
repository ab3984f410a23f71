package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/jobs"
)

type backupCommand struct {
	Create backupCreateCommand `cmd:"" help:"Make backups of the database."`
	List   backupListCommand   `cmd:"" help:"List the backups in the store."`
	Verify backupVerifyCommand `cmd:"" help:"Restore a backup into a scratch server and compare it with its manifest; exit code 1 when it is not as it should be."`
	Prune  backupPruneCommand  `cmd:"" help:"Delete backups that no generation needs."`
}

type backupCreateCommand struct {
	sourceFlags
	storeFlags
	recipientFlags

	Kind []backupKind `sep:"," default:"physical,logical" placeholder:"KIND" help:"physical (the whole server), logical (the database), or both; both otherwise."`
	JSON bool         `name:"json" help:"Print JSON."`
}

// Run implements the command. Where both kinds are asked for and the server
// refuses to be copied, the logical one is made all the same, and exit code 1 says
// that it is alone.
func (b *backupCreateCommand) Run(ctx context.Context, p *program, c *cli) error {
	url, err := b.url()
	if err != nil {
		return err
	}
	s, err := b.open(ctx, p)
	if err != nil {
		return err
	}
	shown := newProgress(p.stderr, p.logger(c, slog.LevelDebug))
	var made []*backup.Manifest
	note := ""
	for _, kind := range b.Kind {
		m, err := backup.Create(ctx, backup.Options{
			Kind: backup.Kind(kind), DatabaseURL: url, Role: jobs.BackupRole, Store: s, Recipients: b.recipients(),
			Program: programVersion(), Note: note, Figures: jobs.BookFigures(),
			Progress: watchBytes(shown, string(kind)+" backup"),
		})
		shown.clear()
		if errors.Is(err, backup.ErrNoReplication) && len(b.Kind) > 1 {
			note = "no physical backup: " + errText(err)
			fmt.Fprintf(p.stderr, "loanserve: %s\n", note)
			continue
		}
		if err != nil {
			return err
		}
		made = append(made, m)
	}
	if err := b.print(p, made); err != nil {
		return err
	}
	if note != "" {
		return errFinding
	}
	return nil
}

// errText is an error in one line.
func errText(err error) string { return strings.ReplaceAll(err.Error(), "\n", ": ") }

func (b *backupCreateCommand) print(p *program, made []*backup.Manifest) error {
	if b.JSON {
		return printJSON(p.stdout, map[string]any{"backups": notNil(made)})
	}
	for _, m := range made {
		if _, err := fmt.Fprintf(p.stdout, "%s: %s in %s\n",
			m.ID, megabytes(m.Bytes()), m.FinishedAt.Sub(m.StartedAt).Round(time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

type backupListCommand struct {
	storeFlags

	JSON bool `name:"json" help:"Print JSON."`
}

// listedBackup is a backup as it is listed.
type listedBackup struct {
	ID            string               `json:"id"`
	Kind          backup.Kind          `json:"kind"`
	StartedAt     time.Time            `json:"started_at"`
	Bytes         int64                `json:"bytes"`
	Encrypted     bool                 `json:"encrypted"`
	SchemaVersion int64                `json:"schema_version"`
	State         string               `json:"state"`
	Note          string               `json:"note,omitempty"`
	Broken        string               `json:"broken,omitempty"`
	Verification  *backup.Verification `json:"verification,omitempty"`
}

func listed(e *backup.Entry) listedBackup {
	m := e.Manifest
	return listedBackup{
		ID: m.ID, Kind: m.Kind, StartedAt: m.StartedAt, Bytes: m.Bytes(), Encrypted: m.Encrypted(),
		SchemaVersion: m.Schema.Version, State: backupState(e), Note: m.Note, Broken: e.Broken, Verification: e.Verification,
	}
}

func backupState(e *backup.Entry) string {
	switch {
	case e.Broken != "":
		return "broken"
	case e.Verification == nil:
		return "unverified"
	case e.Verification.Verified:
		return "verified"
	default:
		return "refused"
	}
}

// Run implements the command.
func (b *backupListCommand) Run(ctx context.Context, p *program) error {
	s, err := b.open(ctx, p)
	if err != nil {
		return err
	}
	entries, err := backup.List(ctx, s)
	if err != nil {
		return err
	}
	rows := []listedBackup{}
	for i := range entries {
		rows = append(rows, listed(&entries[i]))
	}
	wal, err := backup.ListWAL(ctx, s)
	if err != nil {
		return err
	}
	if b.JSON {
		return printJSON(p.stdout, map[string]any{"backups": rows, "wal": notNil(wal)})
	}
	t := newTable("BACKUP", "STARTED", " SIZE", " SCHEMA", "ENCRYPTED", "STATE")
	for _, row := range rows {
		encrypted := "no"
		if row.Encrypted {
			encrypted = "yes"
		}
		t.add(row.ID, row.StartedAt.UTC().Format(time.RFC3339), megabytes(row.Bytes),
			strconv.FormatInt(row.SchemaVersion, 10), encrypted, row.State)
	}
	if err := t.print(p.stdout); err != nil {
		return err
	}
	if len(rows) == 0 { // As where the address has a typing error.
		fmt.Fprintf(p.stderr, "%s holds no backup\n", s.URL())
	}
	return printWAL(p.stdout, wal)
}

// printWAL says which moments the archived WAL reaches.
func printWAL(w io.Writer, list []backup.WALStatus) error {
	for _, st := range list {
		_, err := fmt.Fprintf(w, "WAL of server %s, timeline %d, from %s to %s, %s; the newest stored at %s\n",
			st.SystemIdentifier, st.Timeline, st.From, st.To, megabytes(st.Bytes), st.StoredAt.Format(time.RFC3339))
		if err != nil {
			return err
		}
		for _, gap := range st.Gaps {
			if _, err := fmt.Fprintf(w, "  NOT whole: %s\n", gap); err != nil {
				return err
			}
		}
	}
	return nil
}

type backupVerifyCommand struct {
	storeFlags
	keyFlags

	ID     string     `arg:"" optional:"" help:"The backup, as the list names it."`
	Latest bool       `help:"Verify the latest one."`
	Kind   backupKind `placeholder:"KIND" help:"With --latest: of this kind, physical or logical."`
	JSON   bool       `name:"json" help:"Print JSON."`
}

var errWhich = errors.New("give the id of a backup, or --latest, and not both")

// Validate implements kong.Validatable.
func (b *backupVerifyCommand) Validate() error {
	if (b.ID == "") != b.Latest {
		return errWhich
	}
	return nil
}

// Run implements the command.
func (b *backupVerifyCommand) Run(ctx context.Context, p *program, c *cli) error {
	s, err := b.open(ctx, p)
	if err != nil {
		return err
	}
	options, err := b.options(s)
	if err != nil {
		return err
	}
	id, err := findBackup(ctx, s, b.ID, backup.Kind(b.Kind))
	if err != nil {
		return err
	}
	shown := newProgress(p.stderr, p.logger(c, slog.LevelDebug))
	options.Progress = watchBytes(shown, "restore "+id)
	v, err := backup.Verify(ctx, backup.VerifyOptions{
		RestoreOptions: options, Program: programVersion(), Figures: jobs.BookFigures(), Checks: jobs.BookChecks(),
	}, id)
	shown.clear()
	if err != nil {
		return err
	}
	if err := b.print(p, v); err != nil {
		return err
	}
	if !v.Verified {
		return errFinding
	}
	return nil
}

// findBackup returns the id that is given, or that of the latest of a kind.
func findBackup(ctx context.Context, s store.Store, id string, kind backup.Kind) (string, error) {
	if id != "" {
		return id, nil
	}
	entry, err := backup.Find(ctx, s, "", kind)
	if err != nil {
		return "", err
	}
	return entry.Manifest.ID, nil
}

func (b *backupVerifyCommand) print(p *program, v *backup.Verification) error {
	if b.JSON {
		return printJSON(p.stdout, v)
	}
	for _, line := range v.Compared {
		fmt.Fprintln(p.stdout, "  as it should be:", line)
	}
	for _, line := range v.Findings {
		fmt.Fprintln(p.stdout, "  NOT:", line)
	}
	verdict := "verified"
	if !v.Verified {
		verdict = "NOT verified"
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %s in %s\n", v.BackupID, verdict,
		v.FinishedAt.Sub(v.StartedAt).Round(time.Millisecond))
	return err
}

type backupPruneCommand struct {
	storeFlags
	retentionFlags

	DatabaseURL databaseURL `name:"database-url" placeholder:"URL" setting:"DATABASE_URL" secret:"" help:"PostgreSQL, if there is one, to ask whether loans are missing: then nothing is deleted."`

	DryRun bool `help:"Only say what would go."`
	JSON   bool `name:"json" help:"Print JSON."`
}

// retentionFlags say which generations are kept.
type retentionFlags struct {
	KeepDaily   count    `default:"14" placeholder:"N" setting:"LOANSERVE_BACKUP_KEEP_DAILY" help:"Days of which the last verified backup is kept; 14 otherwise."`
	KeepWeekly  count    `default:"8" placeholder:"N" setting:"LOANSERVE_BACKUP_KEEP_WEEKLY" help:"Weeks; 8 otherwise."`
	KeepMonthly count    `default:"12" placeholder:"N" setting:"LOANSERVE_BACKUP_KEEP_MONTHLY" help:"Months; 12 otherwise."`
	KeepYearly  count    `default:"7" placeholder:"N" setting:"LOANSERVE_BACKUP_KEEP_YEARLY" help:"Years; 7 otherwise."`
	WALWindow   lifetime `name:"wal-window" default:"14d" placeholder:"DURATION" setting:"LOANSERVE_BACKUP_WAL_WINDOW" help:"How far back every moment can be restored, where the write-ahead log is archived; 14d otherwise."`
	PruneMaxAge lifetime `default:"50h" placeholder:"DURATION" setting:"LOANSERVE_BACKUP_PRUNE_MAX_AGE" help:"How old the newest verified backup may be for anything to be deleted; 50h otherwise."`
}

func (f *retentionFlags) retention() backup.Retention {
	return backup.Retention{
		Daily: int(f.KeepDaily), Weekly: int(f.KeepWeekly), Monthly: int(f.KeepMonthly), Yearly: int(f.KeepYearly),
		MaxAge: time.Duration(f.PruneMaxAge), WAL: time.Duration(f.WALWindow),
	}
}

// Run implements the command.
func (b *backupPruneCommand) Run(ctx context.Context, p *program) error {
	s, err := b.open(ctx, p)
	if err != nil {
		return err
	}
	if err := b.checkLosses(ctx); err != nil {
		return err
	}
	now := time.Now()
	fates, err := backup.Prune(ctx, s, b.retention(), now, b.DryRun)
	if err != nil {
		return err
	}
	wal, err := backup.PruneWAL(ctx, s, b.retention(), now, b.DryRun)
	if err != nil {
		return err
	}
	if b.JSON {
		return printJSON(p.stdout, map[string]any{"dry_run": b.DryRun, "backups": notNil(fates), "wal": notNil(wal)})
	}
	t := newTable("BACKUP", "FATE", "WHY")
	gone := "deleted"
	if b.DryRun {
		gone = "would go"
	}
	for _, fate := range fates {
		word := "kept"
		if fate.Delete {
			word = gone
		}
		t.add(fate.ID, word, fate.Why)
	}
	for _, fate := range wal {
		word := "kept"
		if fate.Pieces > 0 {
			word = gone + " up to " + fate.Before + ", " + megabytes(fate.Bytes)
		}
		t.add("WAL of "+fate.SystemIdentifier, word, fate.Why)
	}
	return t.print(p.stdout)
}

// checkLosses refuses while the loss alarm is on, as far as the database can be asked.
// Where it is gone that is a reason to delete nothing as well, and an operator who
// names none has been told.
func (b *backupPruneCommand) checkLosses(ctx context.Context) error {
	if b.DatabaseURL == "" || b.DryRun {
		return nil
	}
	pool, err := (&databaseFlags{DatabaseURL: b.DatabaseURL}).open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	return jobs.CheckLosses(ctx, pool)
}
