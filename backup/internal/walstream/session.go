// Package walstream receives the write-ahead log of a PostgreSQL server, of
// version 15 or later, as it is written. It speaks the replication protocol and
// needs no program of PostgreSQL.
package walstream

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/backup/internal/replication"
)

// Session is a replication session.
type Session struct {
	*replication.Session

	// SegmentBytes is how large the server's files of WAL are.
	SegmentBytes int64
}

// Connect opens a session. What the server refuses is a *pgconn.PgError.
func Connect(ctx context.Context, config *pgconn.Config) (*Session, error) {
	inner, err := replication.Connect(ctx, config, "loanserve archive")
	if err != nil {
		return nil, err
	}
	s := &Session{Session: inner}
	size, err := s.Show(ctx, "wal_segment_size")
	if err == nil {
		s.SegmentBytes, err = parseBytes(size)
	}
	if err != nil {
		s.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("read wal_segment_size: %w", err)
	}
	return s, nil
}

// Show returns a setting of the server, as it writes it.
func (s *Session) Show(ctx context.Context, setting string) (string, error) {
	rows, err := s.Ask(ctx, `SHOW `+setting)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", fmt.Errorf("the server does not say what %s is", setting)
	}
	return string(rows[0][0]), nil
}

// parseBytes reads a size with the server's units.
func parseBytes(text string) (int64, error) {
	units := []struct {
		name  string
		shift uint
	}{{"kB", 10}, {"MB", 20}, {"GB", 30}, {"B", 0}}
	for _, unit := range units {
		if number, ok := strings.CutSuffix(text, unit.name); ok {
			n, err := strconv.ParseInt(number, 10, 32)
			if err != nil || n <= 0 {
				break
			}
			return n << unit.shift, nil
		}
	}
	return 0, fmt.Errorf("%q is no size", text)
}

// Slot is what keeps WAL on the server until it has been archived.
type Slot struct {
	Exists bool
	// Restart is the oldest place that the server keeps for it; 0 where it keeps
	// nothing any more.
	Restart  replication.LSN
	Timeline int // of Restart
}

// ReadSlot returns the state of a physical slot.
func (s *Session) ReadSlot(ctx context.Context, name string) (slot Slot, err error) {
	rows, err := s.Ask(ctx, `READ_REPLICATION_SLOT `+name)
	const columns = 3
	if err != nil || len(rows) == 0 || len(rows[0]) < columns || rows[0][0] == nil {
		return slot, err
	}
	slot.Exists = true
	if rows[0][1] == nil || rows[0][2] == nil {
		return slot, nil
	}
	if slot.Restart, err = replication.ParseLSN(string(rows[0][1])); err != nil {
		return slot, err
	}
	slot.Timeline, err = strconv.Atoi(string(rows[0][2]))
	return slot, err
}

// CreateSlot creates a physical slot, which keeps WAL from now on.
func (s *Session) CreateSlot(ctx context.Context, name string) error {
	_, err := s.Ask(ctx, `CREATE_REPLICATION_SLOT `+name+` PHYSICAL (RESERVE_WAL)`)
	return err
}

// DropSlot drops a slot that nobody uses.
func (s *Session) DropSlot(ctx context.Context, name string) error {
	_, err := s.Ask(ctx, `DROP_REPLICATION_SLOT `+name)
	return err
}

// Switch is where a timeline of a server's past ended.
type Switch struct {
	Timeline int
	End      replication.LSN
}

// History returns the file that says where a timeline comes from. The first one
// has none.
func (s *Session) History(ctx context.Context, timeline int) ([]byte, error) {
	rows, err := s.Ask(ctx, `TIMELINE_HISTORY `+strconv.Itoa(timeline))
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return nil, fmt.Errorf("the server does not know the history of timeline %d", timeline)
	}
	return rows[0][1], nil
}

// ParseHistory reads such a file, the oldest timeline first.
func ParseHistory(text []byte) ([]Switch, error) {
	var list []Switch
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("%q is no line of a timeline's history", line)
		}
		timeline, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, fmt.Errorf("%q is no line of a timeline's history", line)
		}
		end, err := replication.ParseLSN(fields[1])
		if err != nil {
			return nil, err
		}
		list = append(list, Switch{Timeline: timeline, End: end})
	}
	return list, nil
}
