// Package basebackup speaks the part of PostgreSQL's replication protocol that
// copies a server, of version 15 or later. It needs no program of PostgreSQL.
package basebackup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"loanserve/backup/internal/replication"
)

// PartKind says what a part of the copy is.
type PartKind int

// The parts of a copy.
const (
	Base       PartKind = iota // a tar of the data directory, with WAL
	Tablespace                 // a tar of a tablespace
	Files                      // the list of files
)

// Part is one of the streams that a copy consists of.
type Part struct {
	Kind  PartKind
	Name  string
	Zstd  bool  // compressed by the server
	Bytes int64 // the server's estimate of the whole copy
}

// Sink takes the parts, one after the other.
type Sink interface {
	Begin(ctx context.Context, p Part) error
	Write(p []byte) (int, error)
	End() error
	// Progress tells how many bytes the server has read.
	Progress(done int64)
}

// Session is a replication session.
type Session struct{ *replication.Session }

// Connect opens a session. What the server refuses is a *pgconn.PgError.
func Connect(ctx context.Context, config *pgconn.Config) (*Session, error) {
	s, err := replication.Connect(ctx, config, "loanserve backup")
	if err != nil {
		return nil, err
	}
	return &Session{s}, nil
}

// Copy copies the server, with the WAL from the beginning to the end of the copy,
// and returns where that begins and ends.
func (s *Session) Copy(ctx context.Context, label string, sink Sink) (start, end string, err error) {
	// The slot keeps the WAL of a busy server until the copy has it, and goes with
	// the session. Where there is none to be had the copy may have to be repeated.
	slot := "loanserve_backup_" + strings.ToLower(rand.Text())
	_, err = s.Ask(ctx, `CREATE_REPLICATION_SLOT `+slot+` TEMPORARY PHYSICAL (RESERVE_WAL)`)
	if refusal, ok := errors.AsType[*pgconn.PgError](err); err != nil && !ok {
		return "", "", fmt.Errorf("reserve WAL: %w", err)
	} else if ok && refusal.Severity == "FATAL" {
		return "", "", fmt.Errorf("reserve WAL: %w", err)
	}
	start, end, err = s.copy(ctx, label, sink, true)
	// Asked for what it was not built with, the server refuses before it begins.
	const notSupported, invalidParameter, syntaxError = "0A000", "22023", "42601"
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	if ok && start == "" &&
		(refusal.Code == notSupported || refusal.Code == invalidParameter || refusal.Code == syntaxError) {
		start, end, err = s.copy(ctx, label, sink, false)
	}
	return start, end, err
}

// reception is the state of a copy that is being received.
type reception struct {
	sink       Sink
	zstd       bool
	start, end string
	sets       int   // result sets begun so far
	bytes      int64 // estimated
	under      bool  // a part has begun and not ended
	failed     error
}

func (s *Session) copy(ctx context.Context, label string, sink Sink, zstd bool) (start, end string, err error) {
	command := `BASE_BACKUP (LABEL '` + strings.ReplaceAll(label, "'", "''") +
		`', PROGRESS, CHECKPOINT 'fast', WAL true, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C'`
	if zstd {
		command += `, COMPRESSION 'zstd', COMPRESSION_DETAIL 'level=3'`
	}
	s.Conn.Frontend().Send(&pgproto3.Query{String: command + `)`})
	if err := s.Conn.Frontend().Flush(); err != nil {
		return "", "", fmt.Errorf("ask for the copy: %w", err)
	}
	r := &reception{sink: sink, zstd: zstd}
	for {
		message, err := s.Conn.ReceiveMessage(ctx)
		if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && r.failed == nil {
			r.failed = fmt.Errorf("copy the server: %w", refusal)
			continue // Until it is ready again.
		}
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return r.start, r.end, fmt.Errorf("receive copy: %w", errors.Join(r.failed, err))
		}
		if refusal, ok := message.(*pgproto3.ErrorResponse); ok {
			r.failed = errors.Join(r.failed, fmt.Errorf("copy the server: %w", pgconn.ErrorResponseToPgError(refusal)))
			continue
		}
		if _, ready := message.(*pgproto3.ReadyForQuery); ready {
			return r.start, r.end, r.failed
		}
		if r.failed != nil {
			continue
		}
		if err := r.take(ctx, message); err != nil {
			return r.start, r.end, err
		}
	}
}

// take takes one message: first a row with the beginning, then one for each
// tablespace, then the copy, then a row with the end.
func (r *reception) take(ctx context.Context, message pgproto3.BackendMessage) error {
	switch m := message.(type) {
	case *pgproto3.RowDescription:
		r.sets++
	case *pgproto3.DataRow:
		r.row(m.Values)
	case *pgproto3.CopyData:
		return r.data(ctx, m.Data)
	case *pgproto3.CopyDone:
		return r.endPart()
	}
	return nil
}

func (r *reception) row(values [][]byte) {
	const kilo = 1024
	switch {
	case len(values) == 0:
	case r.sets == 1:
		r.start = string(values[0])
	case r.sets == 2 && len(values) > 2:
		kilobytes, _ := strconv.ParseInt(string(values[2]), 10, 64) // It is only an estimate.
		r.bytes += kilobytes * kilo
	case r.sets > 2:
		r.end = string(values[0])
	}
}

var errProtocol = errors.New("the server sent what the protocol does not know")

func (r *reception) data(ctx context.Context, data []byte) error {
	if len(data) == 0 {
		return errProtocol
	}
	kind, rest := data[0], data[1:]
	switch kind {
	case 'n':
		name, place, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return errProtocol
		}
		part := Part{Kind: Base, Name: string(name), Zstd: r.zstd, Bytes: r.bytes}
		if len(bytes.TrimRight(place, "\x00")) > 0 {
			part.Kind = Tablespace
		}
		return r.beginPart(ctx, part)
	case 'm':
		return r.beginPart(ctx, Part{Kind: Files, Name: "backup_manifest"})
	case 'd':
		if !r.under {
			return errProtocol
		}
		_, err := r.sink.Write(rest)
		return err
	case 'p':
		const wide = 8
		if len(rest) < wide {
			return errProtocol
		}
		r.sink.Progress(int64(binary.BigEndian.Uint64(rest)))
		return nil
	default:
		return errProtocol
	}
}

func (r *reception) beginPart(ctx context.Context, p Part) error {
	if err := r.endPart(); err != nil {
		return err
	}
	r.under = true
	return r.sink.Begin(ctx, p)
}

func (r *reception) endPart() error {
	if !r.under {
		return nil
	}
	r.under = false
	return r.sink.End()
}
