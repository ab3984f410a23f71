package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/backup/internal/basebackup"
)

const (
	baseObject = "base.tar"
	// filesObject is the server's own list of the files in the copy, each with a
	// checksum: what pg_verifybackup reads.
	filesObject = "backup_manifest"
)

// ErrNoReplication is returned for a physical backup where the server does not let
// the login copy it, as managed databases do not. A logical backup is possible.
var ErrNoReplication = errors.New("the server does not let this login copy it by the replication protocol " +
	"(it needs the attribute REPLICATION, a line for it in pg_hba.conf, and a free WAL sender)")

// physical prepares a copy of the server.
func (c *creation) physical(ctx context.Context, d *Database) (func(context.Context) (*WAL, error), error) {
	config, err := pgconn.ParseConfig(c.DatabaseURL)
	if err != nil {
		return nil, stageError(StageConnect, errors.New("read database URL: it is not a PostgreSQL connection string"))
	}
	config.ConnectTimeout = connectTimeout
	session, err := basebackup.Connect(ctx, config)
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return nil, stageError(StageConnect, fmt.Errorf("%w: %s", ErrNoReplication, refusal.Message))
	}
	if err != nil {
		return nil, stageError(StageConnect, err)
	}
	d.SystemIdentifier, d.Timeline = session.SystemIdentifier, session.Timeline
	return func(ctx context.Context) (*WAL, error) {
		defer session.Close(context.WithoutCancel(ctx))
		sink := &baseSink{c: c}
		start, end, err := session.Copy(ctx, "loanserve "+c.id, sink)
		if err != nil {
			if sink.under != nil {
				_ = sink.under.abort(err)
			}
			return nil, err
		}
		return &WAL{StartLSN: start, EndLSN: end}, nil
	}, nil
}

// baseSink stores what the server sends, one object after the other.
type baseSink struct {
	c     *creation
	under *upload
	total int64
}

// Begin implements basebackup.Sink.
func (s *baseSink) Begin(ctx context.Context, part basebackup.Part) error {
	if part.Kind == basebackup.Tablespace {
		return fmt.Errorf("the server keeps data in a tablespace of its own (%s), which a physical backup does not support: "+
			"make logical ones", part.Name)
	}
	name := filesObject
	if part.Kind == basebackup.Base {
		name = baseObject
	}
	u, err := s.c.startUpload(ctx, name, !part.Zstd, part.Bytes)
	if err != nil {
		return err
	}
	if part.Zstd { // By the server, which leaves less to send.
		u.object.Zstd = true
	}
	s.under, s.total = u, part.Bytes
	return nil
}

// Write implements basebackup.Sink.
func (s *baseSink) Write(p []byte) (int, error) { return s.under.Write(p) }

// End implements basebackup.Sink.
func (s *baseSink) End() error {
	object, err := s.under.finish()
	s.under = nil
	if err != nil {
		return err
	}
	s.c.objects = append(s.c.objects, object)
	return nil
}

// Progress implements basebackup.Sink.
func (s *baseSink) Progress(done int64) {
	if s.c.Progress != nil {
		s.c.Progress(done, s.total)
	}
}
