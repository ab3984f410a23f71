// Package replication opens sessions of PostgreSQL's replication protocol, and
// knows the places in the write-ahead log that it speaks of.
package replication

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// Session is a replication session.
type Session struct {
	SystemIdentifier string
	Timeline         int
	// Flushed is how far the server's WAL reached when the session began.
	Flushed LSN

	Conn *pgconn.PgConn
}

// Connect opens a session under a name. What the server refuses is a
// *pgconn.PgError.
func Connect(ctx context.Context, config *pgconn.Config, name string) (*Session, error) {
	config.RuntimeParams = map[string]string{"replication": "true", "application_name": name}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect for replication: %w", err)
	}
	s := &Session{Conn: conn}
	if err := s.identify(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("identify server: %w", err), conn.Close(ctx))
	}
	return s, nil
}

func (s *Session) identify(ctx context.Context) error {
	rows, err := s.Ask(ctx, `IDENTIFY_SYSTEM`)
	if err != nil {
		return err
	}
	const columns = 3
	if len(rows) != 1 || len(rows[0]) < columns {
		return errors.New("the server does not say who it is")
	}
	s.SystemIdentifier = string(rows[0][0])
	if s.Timeline, err = strconv.Atoi(string(rows[0][1])); err != nil {
		return err
	}
	s.Flushed, err = ParseLSN(string(rows[0][2]))
	return err
}

// Close ends the session.
func (s *Session) Close(ctx context.Context) { _ = s.Conn.Close(ctx) }

// Ask runs a command and returns the rows of its first result.
func (s *Session) Ask(ctx context.Context, command string) ([][][]byte, error) {
	results, err := s.Conn.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, nil
	}
	return results[0].Rows, results[0].Err
}
