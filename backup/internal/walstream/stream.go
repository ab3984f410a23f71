package walstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"loanserve/backup/internal/replication"
)

// Stream is WAL as it comes. One goroutine may receive while another confirms: one
// only reads what the server sends, and the other only writes.
type Stream struct {
	s *Session
}

// Message is one that the server has sent.
type Message struct {
	// Start is the place of the first byte of Data.
	Start replication.LSN
	Data  []byte
	// End is how far the server's WAL reaches, as far as it tells.
	End replication.LSN
	// Urgent says that the server waits to be told what has been stored, as it does
	// before it shuts down.
	Urgent bool
}

// Start begins to stream from a place of a timeline on. Nobody else may use the
// slot meanwhile.
func (s *Session) Start(ctx context.Context, slot string, timeline int, at replication.LSN) (*Stream, error) {
	s.Conn.Frontend().Send(&pgproto3.Query{String: fmt.Sprintf(
		`START_REPLICATION SLOT %s PHYSICAL %s TIMELINE %d`, slot, at, timeline)})
	if err := s.Conn.Frontend().Flush(); err != nil {
		return nil, fmt.Errorf("ask for WAL: %w", err)
	}
	st := &Stream{s: s}
	for {
		message, err := st.next(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask for WAL: %w", err)
		}
		if _, begun := message.(*pgproto3.CopyBothResponse); begun {
			return st, nil
		}
		if _, ready := message.(*pgproto3.ReadyForQuery); ready {
			return nil, errors.New("ask for WAL: the server sends none")
		}
	}
}

// next returns the next message of the protocol. A refusal is an error.
func (st *Stream) next(ctx context.Context) (pgproto3.BackendMessage, error) {
	message, err := st.s.Conn.ReceiveMessage(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	if refusal, ok := message.(*pgproto3.ErrorResponse); ok {
		return nil, pgconn.ErrorResponseToPgError(refusal)
	}
	return message, nil
}

var (
	errProtocol = errors.New("the server sent what the protocol does not know")
	errEnded    = errors.New("the server has ended the stream, as it does when it shuts down")
)

// Receive returns the next message, and io.EOF at the end of a timeline that the
// server has left; what is next is Finish.
func (st *Stream) Receive(ctx context.Context) (Message, error) {
	for {
		message, err := st.next(ctx)
		if err != nil {
			return Message{}, fmt.Errorf("receive WAL: %w", err)
		}
		switch m := message.(type) {
		case *pgproto3.CopyData:
			return parse(m.Data)
		case *pgproto3.CopyDone:
			return Message{}, io.EOF
		case *pgproto3.CommandComplete, *pgproto3.ReadyForQuery:
			return Message{}, errEnded
		}
	}
}

// Finish answers the end of a timeline. The session can then be asked for the next.
func (st *Stream) Finish(ctx context.Context) error {
	st.s.Conn.Frontend().Send(&pgproto3.CopyDone{})
	if err := st.s.Conn.Frontend().Flush(); err != nil {
		return fmt.Errorf("end timeline: %w", err)
	}
	for {
		message, err := st.next(ctx)
		if err != nil {
			return fmt.Errorf("end timeline: %w", err)
		}
		if _, ready := message.(*pgproto3.ReadyForQuery); ready {
			return nil
		}
	}
}

// Lengths of what the protocol puts before the data.
const (
	dataHeader      = 1 + 8 + 8 + 8
	keepaliveLength = 1 + 8 + 8 + 1
)

func parse(raw []byte) (Message, error) {
	switch {
	case len(raw) >= dataHeader && raw[0] == 'w':
		return Message{
			Start: replication.LSN(binary.BigEndian.Uint64(raw[1:])),
			End:   replication.LSN(binary.BigEndian.Uint64(raw[9:])),
			Data:  bytes.Clone(raw[dataHeader:]), // The buffer is used again.
		}, nil
	case len(raw) >= keepaliveLength && raw[0] == 'k':
		return Message{
			End:    replication.LSN(binary.BigEndian.Uint64(raw[1:])),
			Urgent: raw[keepaliveLength-1] == 1,
		}, nil
	default:
		return Message{}, errProtocol
	}
}

// epoch is when the server's clock begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Confirm tells the server up to where WAL is stored, so that it need not keep it.
// Asked, it answers with a message that is not urgent.
func (st *Stream) Confirm(stored, received replication.LSN, now time.Time, ask bool) error {
	status := []byte{'r'}
	for _, place := range []replication.LSN{max(received, stored), stored, 0} { // Written, flushed, applied.
		status = binary.BigEndian.AppendUint64(status, uint64(place))
	}
	status = binary.BigEndian.AppendUint64(status, uint64(now.Sub(epoch).Microseconds()))
	question := byte(0)
	if ask {
		question = 1
	}
	status = append(status, question)
	st.s.Conn.Frontend().Send(&pgproto3.CopyData{Data: status})
	if err := st.s.Conn.Frontend().Flush(); err != nil {
		return fmt.Errorf("confirm WAL: %w", err)
	}
	return nil
}
