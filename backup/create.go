package backup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"loanserve/backup/store"
)

// Options say what to back up, and where to.
type Options struct {
	Kind Kind
	// DatabaseURL names the database. For a physical backup its login needs the
	// attribute REPLICATION, and the copy is of its whole server.
	DatabaseURL string
	// Role is one that may read everything, which the login becomes if it may.
	Role  string
	Store store.Store
	// Recipients each can decrypt the backup; without any it is not encrypted.
	Recipients []age.Recipient
	// Program is the version of this program, for the manifest.
	Program string
	// Note goes into the manifest.
	Note string
	// Figures are what people know the books by.
	Figures []Question
	// Progress, if there is one, is told how many bytes have been read, and of how
	// many as far as the server can tell; 0 where it cannot.
	Progress func(done, total int64)
}

const (
	// LeftoverGrace is how long what an interrupted backup left stays: longer than
	// any backup takes, so that none is swept that is still being made.
	LeftoverGrace = 24 * time.Hour
	// undoTimeout bounds removing what a failed backup has stored.
	undoTimeout = 2 * time.Minute
)

// creation is a backup under way.
type creation struct {
	Options

	id      string
	objects []Object
}

// Create makes a backup and returns its manifest. When it fails it removes what it
// has stored; its error is a StageError. Before it begins it removes what earlier
// ones left behind that were killed.
//
// For a physical backup it returns ErrNoReplication where the server does not let
// the login copy it.
func Create(ctx context.Context, o Options) (*Manifest, error) {
	started := time.Now().UTC()
	c := &creation{Options: o, id: newID(o.Kind, started)}
	if _, err := sweep(ctx, o.Store, started.Add(-LeftoverGrace)); err != nil {
		return nil, stageError(StageStore, err)
	}
	m, err := c.make(ctx)
	if err == nil {
		m.Format, m.ID, m.Kind, m.Program, m.Note = manifestFormat, c.id, o.Kind, o.Program, o.Note
		m.StartedAt, m.FinishedAt = started, time.Now().UTC()
		m.Objects = c.objects
		err = stageError(StageCommit, writeManifest(ctx, o.Store, m))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("backup %s: %w", c.id, err), c.undo(ctx))
	}
	return m, nil
}

// undo removes what was stored. It is done as well as may be: without a manifest
// it is no backup, and what stays is swept later.
func (c *creation) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	list, err := c.Store.List(ctx, c.id+"/")
	if err != nil {
		return nil // The store is what failed, most likely, and that was said.
	}
	for _, o := range list {
		_ = c.Store.Delete(ctx, o.Name)
	}
	return nil
}

// make reads the database while its copy is made. The session that holds the
// snapshot reads the tables, another one copies; either's failure ends both.
func (c *creation) make(ctx context.Context) (*Manifest, error) {
	conn, err := connect(ctx, c.DatabaseURL)
	if err != nil {
		return nil, stageError(StageConnect, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	role, err := become(ctx, conn, c.Role)
	if err != nil {
		return nil, stageError(StageConnect, err)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, stageError(StageRead, err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	m := &Manifest{}
	read, oldestXID, err := readFacts(ctx, tx)
	if err != nil {
		return nil, stageError(StageRead, err)
	}
	copies, err := c.copier(ctx, tx, &read, role)
	if err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return stageError(StageRead, read.read(gctx, tx, c.Kind, oldestXID, c.Figures)) })
	g.Go(func() (err error) {
		m.WAL, err = copies(gctx)
		return stageError(StageRead, err)
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if c.Kind == Physical {
		if err := tx.Rollback(ctx); err != nil {
			return nil, stageError(StageRead, err)
		}
		m.WAL.OldestXID = oldestXID
		if err := markKept(ctx, conn, read.Tables, oldestXID); err != nil {
			return nil, stageError(StageRead, err)
		}
	}
	m.Database, m.Schema, m.Tables = read.Database, read.Schema, read.Tables
	m.Sequences, m.Figures = read.Sequences, read.Figures
	return m, nil
}

// copier prepares the copy, which only its function makes.
func (c *creation) copier(ctx context.Context, tx pgx.Tx, read *contents, role string,
) (func(context.Context) (*WAL, error), error) {
	if c.Kind == Logical {
		return c.logical(ctx, tx, read, role)
	}
	return c.physical(ctx, &read.Database)
}

// markKept notes for each table how many of its checked rows have stayed as they
// were until the copy was complete.
func markKept(ctx context.Context, conn *pgx.Conn, tables []Table, oldestXID uint64) error {
	names, err := listTables(ctx, conn)
	if err != nil {
		return err
	}
	kept := map[string]int64{}
	for _, name := range names {
		n, err := countKept(ctx, conn, name, oldestXID)
		if isUndefined(err) { // Dropped meanwhile: nothing is kept.
			continue
		}
		if err != nil {
			return err
		}
		kept[join(name)] = n
	}
	for i := range tables {
		tables[i].KeptRows = min(kept[tables[i].Name], tables[i].CheckedRows)
	}
	return nil
}

// store sends what produce writes to an object.
func (c *creation) store(ctx context.Context, name string, compress bool, estimate int64,
	produce func(w *upload) error,
) error {
	u, err := c.startUpload(ctx, name, compress, estimate)
	if err != nil {
		return err
	}
	if err := produce(u); err != nil {
		_ = u.abort(err)
		return stageError(StageRead, errOr(u.failed, err)) // A program that cannot write fails as well.
	}
	object, err := u.finish()
	if err != nil {
		return err
	}
	c.objects = append(c.objects, object)
	return nil
}

// sweep removes objects of backups that have no manifest and are older than the
// moment, and what the store itself has of interrupted writes.
func sweep(ctx context.Context, s store.Store, before time.Time) (removed int, err error) {
	removed, err = s.Sweep(ctx, before)
	if err != nil {
		return removed, fmt.Errorf("sweep store: %w", err)
	}
	list, err := s.List(ctx, idPrefix)
	if err != nil {
		return removed, err
	}
	whole := map[string]bool{}
	for _, o := range list {
		if path.Base(o.Name) == manifestName {
			whole[path.Dir(o.Name)] = true
		}
	}
	for _, o := range list {
		id := path.Dir(o.Name)
		if _, _, ours := parseID(id); !ours || whole[id] || !o.StoredAt.Before(before) {
			continue
		}
		if err := s.Delete(ctx, o.Name); err != nil {
			return removed, fmt.Errorf("sweep leftovers: %w", err)
		}
		removed++
	}
	return removed, nil
}
