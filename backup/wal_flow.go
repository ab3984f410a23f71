package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"loanserve/backup/internal/replication"
	"loanserve/backup/internal/walstream"
)

const (
	// putTimeout bounds how long storing a piece may take. Then the session ends: a
	// server that shuts down waits for us, and must not wait for a store for ever.
	putTimeout = time.Minute
	// statusEvery is how often the server is told how far we are, also when nothing
	// has changed, and asked how far it is.
	statusEvery = 2 * time.Second
	// ticksPerInterval is how exactly the interval is kept.
	ticksPerInterval = 20
)

// flow is one timeline's WAL on its way into the store. One piece is stored at a
// time, while what follows is received.
type flow struct {
	a        *archive
	stream   *walstream.Stream
	timeline int

	// stored is up to where the store has it, and received what we have of it.
	stored, received replication.LSN
	serverEnd        replication.LSN
	// data is what follows what is stored or being stored, since when.
	data    []byte
	since   time.Time
	storing bool // A piece is under way.
	done    chan put
	hurry   bool // Store what there is at once.

	statusAt time.Time // when the server was last told how far we are
	asked    time.Time // when it was asked what has not been answered
	answered time.Time // when it was asked what it answered last
	marks    []mark
}

// mark is a moment up to which all WAL ends before a place.
type mark struct {
	through time.Time
	at      replication.LSN
}

// put is what became of a piece.
type put struct {
	piece ArchivedPiece
	err   error
}

// received is what the receiving goroutine hands over.
type received struct {
	message walstream.Message
	err     error
}

// stream archives one timeline from a place on, and returns where it ended when it
// has and all of it is stored.
func (a *archive) stream(ctx context.Context, s *walstream.Stream, from position) (replication.LSN, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &flow{
		a: a, stream: s, timeline: from.timeline, stored: from.at, received: from.at, serverEnd: from.at,
		done: make(chan put, 1),
	}
	messages := make(chan received)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		receive(ctx, s, messages)
	}()
	err := f.run(ctx, messages)
	cancel()
	if f.storing { // It must not go on behind the next session's back.
		<-f.done
	}
	<-ended
	return f.stored, err
}

func receive(ctx context.Context, s *walstream.Stream, out chan<- received) {
	for {
		m, err := s.Receive(ctx)
		select {
		case out <- received{message: m, err: err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (f *flow) run(ctx context.Context, messages <-chan received) error {
	tick := time.NewTicker(max(f.a.Interval/ticksPerInterval, time.Millisecond))
	defer tick.Stop()
	atEnd := false
	for {
		in := messages
		if atEnd || len(f.data) >= blockBytes { // Enough: the server waits, and TCP tells it so.
			in = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r := <-in:
			if errors.Is(r.err, io.EOF) {
				atEnd, f.hurry = true, true
			} else if r.err != nil {
				return stageError(StageRead, r.err)
			} else if err := f.take(r.message); err != nil {
				return stageError(StageRead, err)
			}
		case p := <-f.done:
			if err := f.finish(p); err != nil {
				return err
			}
		case <-tick.C:
		}
		if atEnd && !f.storing && len(f.data) == 0 {
			return stageError(StageRead, f.leave(ctx))
		}
		f.begin(ctx)
		if err := f.tell(atEnd); err != nil {
			return stageError(StageRead, err)
		}
	}
}

// take keeps what has come.
func (f *flow) take(m walstream.Message) error {
	if len(m.Data) > 0 {
		if m.Start != f.received {
			return fmt.Errorf("the server sent WAL of %s where %s was next", m.Start, f.received)
		}
		if len(f.data) == 0 {
			f.since = time.Now()
		}
		f.data = append(f.data, m.Data...)
		f.received += replication.LSN(len(m.Data))
	}
	f.serverEnd = max(f.serverEnd, m.End, f.received)
	f.hurry = f.hurry || m.Urgent
	if len(m.Data) == 0 && !m.Urgent {
		f.answer()
	}
	return nil
}

// answer takes the answer to a question. The server answers first, and then looks
// for what it has to send: so what it had when it was asked has come by its next
// answer.
func (f *flow) answer() {
	if !f.answered.IsZero() && f.serverEnd == f.received {
		f.marks = append(f.marks, mark{through: f.answered, at: f.received})
	}
	f.answered, f.asked = f.asked, time.Time{}
	f.cover()
}

// cover tells up to which moment all WAL is in the store.
func (f *flow) cover() {
	reached := 0
	for reached < len(f.marks) && f.marks[reached].at <= f.stored {
		reached++
	}
	if reached > 0 {
		f.a.Observer.Covered(f.marks[reached-1].through)
		f.marks = append(f.marks[:0], f.marks[reached:]...)
	}
}

// begin begins to store a piece, when there is one and its time has come.
func (f *flow) begin(ctx context.Context) {
	if f.storing {
		return
	}
	if len(f.data) == 0 {
		f.hurry = false
		return
	}
	start := f.received - replication.LSN(len(f.data))
	unit := min(f.a.session.SegmentBytes, blockBytes)
	full := start.Floor(unit) + replication.LSN(unit) - start // What is left of the block.
	size := min(replication.LSN(len(f.data)), full)
	if size < full && !f.hurry && time.Since(f.since) < f.a.Interval {
		return
	}
	content := bytes.Clone(f.data[:size])
	f.data = append(f.data[:0], f.data[size:]...)
	f.storing = true
	f.since = time.Now()
	if len(f.data) == 0 {
		f.hurry = false
	}
	go func() {
		piece, err := f.put(ctx, start, content)
		f.done <- put{piece: piece, err: err}
	}()
}

// put stores a piece.
func (f *flow) put(ctx context.Context, start replication.LSN, content []byte) (stored ArchivedPiece, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, putTimeout, fmt.Errorf("the store did not take it within %s", putTimeout))
	defer cancel()
	packed, err := pack(content, f.a.Recipients)
	if err != nil {
		return stored, err
	}
	end := start + replication.LSN(len(content))
	p := newPiece(f.a.session.SystemIdentifier, f.timeline, start, end, sha256.Sum256(packed), len(f.a.Recipients) > 0)
	if err := f.a.Store.Put(ctx, p.name(), bytes.NewReader(packed), int64(len(packed))); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(err, context.Cause(ctx))
		}
		return stored, fmt.Errorf("store WAL of %s: %w", start, err)
	}
	return ArchivedPiece{
		Timeline: f.timeline, From: start.String(), To: end.String(),
		Bytes: int64(len(content)), StoredBytes: int64(len(packed)),
	}, nil
}

// finish notes that a piece is stored, which is when the server may forget it.
func (f *flow) finish(p put) error {
	f.storing = false
	if p.err != nil {
		return stageError(StageStore, p.err)
	}
	f.stored = f.received - replication.LSN(len(f.data))
	f.statusAt = time.Time{}
	f.a.Observer.Stored(p.piece)
	f.cover()
	return nil
}

// tell tells the server how far we are, when it is time, and asks it how far it is
// unless it has not answered yet, or has nothing more.
func (f *flow) tell(atEnd bool) error {
	now := time.Now()
	if now.Sub(f.statusAt) < min(statusEvery, f.a.Interval) {
		return nil
	}
	ask := f.asked.IsZero() && !atEnd
	if ask {
		f.asked = now
	}
	f.statusAt = now
	return f.stream.Confirm(f.stored, f.received, now, ask)
}

// leave ends a timeline of which all is stored. Nobody receives any more.
func (f *flow) leave(ctx context.Context) error {
	if err := f.stream.Confirm(f.stored, f.received, time.Now(), false); err != nil {
		return err
	}
	return f.stream.Finish(ctx)
}
