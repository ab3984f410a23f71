package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"loanserve/backup"
)

// restoreCommand needs no database: the store, the key and the programs suffice.
type restoreCommand struct {
	storeFlags
	keyFlags

	pointFlags

	Backup string     `arg:"" optional:"" help:"The backup, as the list names it, or latest; not with a point."`
	Into   string     `required:"" placeholder:"DIRECTORY|URL" help:"An empty or new directory, which becomes a server's, or an empty database (postgres://…) for a logical backup."`
	Kind   backupKind `placeholder:"KIND" help:"With latest: of this kind, physical or logical."`
	JSON   bool       `name:"json" help:"Print JSON."`
}

// pointFlags say which moment to restore, of those that the archived WAL reaches.
type pointFlags struct {
	ToTime    moment `name:"to-time" placeholder:"TIME" help:"Restore what had been committed at this time, such as 2026-11-28T03:04:05.123-05:00."`
	ToXID     uint64 `name:"to-xid" placeholder:"N" help:"Restore up to this transaction, with it."`
	BeforeXID uint64 `name:"before-xid" placeholder:"N" help:"Restore up to this transaction, without it."`
	ToLatest  bool   `name:"to-latest" help:"Restore all that has been archived."`
}

// moment is an instant with its zone, so that nobody has to guess.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) (err error) {
	if m.Time, err = time.Parse(time.RFC3339Nano, string(text)); err != nil {
		return errors.New("must be a time with its zone, such as 2026-11-28T03:04:05Z or 2026-11-28T03:04:05-05:00")
	}
	return nil
}

// point returns what the flags ask for; ok is false where they ask for nothing.
func (f *pointFlags) point() (p backup.Point, ok bool, err error) {
	points := []backup.Point{}
	if !f.ToTime.IsZero() {
		points = append(points, backup.Point{Time: f.ToTime.Time})
	}
	if f.ToXID != 0 {
		points = append(points, backup.Point{XID: f.ToXID})
	}
	if f.BeforeXID != 0 {
		points = append(points, backup.Point{XID: f.BeforeXID, Before: true})
	}
	if f.ToLatest {
		points = append(points, backup.Point{Latest: true})
	}
	switch len(points) {
	case 0:
		return p, false, nil
	case 1:
		return points[0], true, nil
	default:
		return p, false, errPoints
	}
}

var (
	errPoints = errors.New("--to-time, --to-xid, --before-xid, --to-latest: give one of them")
	errWhat   = errors.New("give a backup, or one of --to-time, --to-xid, --before-xid and --to-latest, and not both")
	errPoint  = errors.New("--into: a moment is restored into a directory, since it is of a whole server")
)

// Validate implements kong.Validatable.
func (r *restoreCommand) Validate() error {
	_, point, err := r.point()
	switch {
	case err != nil:
		return err
	case point == (r.Backup != "") || point && r.Kind != "":
		return errWhat
	case point && isDatabase(r.Into):
		return errPoint
	default:
		return nil
	}
}

// Run implements the command.
func (r *restoreCommand) Run(ctx context.Context, p *program, c *cli) error {
	s, err := r.open(ctx, p)
	if err != nil {
		return err
	}
	options, err := r.options(s)
	if err != nil {
		return err
	}
	if point, ok, _ := r.point(); ok {
		return r.runPoint(ctx, p, c, options, point)
	}
	id := r.Backup
	if id == "latest" {
		id = ""
	}
	if id, err = findBackup(ctx, s, id, backup.Kind(r.Kind)); err != nil {
		return err
	}
	entry, err := backup.Find(ctx, s, id, "")
	if err != nil {
		return err
	}
	if entry.Broken != "" {
		return &backup.BrokenError{What: entry.Broken}
	}
	if !entry.Verified() {
		fmt.Fprintf(p.stderr, "loanserve: %s is %s: compare what is restored before you rely on it\n",
			id, backupState(&entry))
	}
	shown := newProgress(p.stderr, p.logger(c, slog.LevelDebug))
	options.Progress = watchBytes(shown, "restore "+id)
	began := time.Now()
	target := r.Into
	if isDatabase(target) {
		target = "the database"
		err = backup.RestoreDatabase(ctx, options, entry.Manifest, r.Into)
	} else {
		if target, err = filepath.Abs(target); err != nil {
			return err
		}
		err = backup.RestoreDir(ctx, options, entry.Manifest, target)
	}
	shown.clear()
	if err != nil {
		return err
	}
	took := time.Since(began)
	if r.JSON {
		return printJSON(p.stdout, map[string]any{
			"id": id, "into": target, "took_seconds": took.Seconds(), "started_at": entry.Manifest.StartedAt,
			"postgresql": entry.Manifest.Database.Major(), "database": entry.Manifest.Database.Name,
		})
	}
	_, err = fmt.Fprintf(p.stdout, "%s is restored into %s, as of %s, in %s\n",
		id, target, entry.Manifest.StartedAt.Format(time.RFC3339), took.Round(time.Millisecond))
	if err == nil && !isDatabase(r.Into) {
		_, err = fmt.Fprintf(p.stdout, "it is a data directory of PostgreSQL %d with database %s\n",
			entry.Manifest.Database.Major(), entry.Manifest.Database.Name)
	}
	return err
}

// runPoint restores a moment.
func (r *restoreCommand) runPoint(ctx context.Context, p *program, c *cli, o backup.RestoreOptions, point backup.Point,
) error {
	dir, err := filepath.Abs(r.Into)
	if err != nil {
		return err
	}
	shown := newProgress(p.stderr, p.logger(c, slog.LevelDebug))
	o.Progress = watchBytes(shown, "restore "+point.String())
	began := time.Now()
	m, err := backup.RestorePoint(ctx, o, point, dir)
	shown.clear()
	if err != nil {
		return err
	}
	took := time.Since(began)
	if r.JSON {
		return printJSON(p.stdout, map[string]any{
			"id": m.ID, "point": point.String(), "into": dir, "took_seconds": took.Seconds(), "started_at": m.StartedAt,
			"postgresql": m.Database.Major(), "database": m.Database.Name,
		})
	}
	_, err = fmt.Fprintf(p.stdout, "%s and the WAL after it are restored into %s, as of %s, in %s\n"+
		"it is a data directory of PostgreSQL %d with database %s\n",
		m.ID, dir, point, took.Round(time.Millisecond), m.Database.Major(), m.Database.Name)
	return err
}
