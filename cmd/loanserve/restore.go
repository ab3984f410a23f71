package main

import (
	"context"
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

	Backup string     `arg:"" help:"The backup, as the list names it, or latest."`
	Into   string     `required:"" placeholder:"DIRECTORY|URL" help:"An empty or new directory, which becomes a server's, or an empty database (postgres://…) for a logical backup."`
	Kind   backupKind `placeholder:"KIND" help:"With latest: of this kind, physical or logical."`
	JSON   bool       `name:"json" help:"Print JSON."`
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
