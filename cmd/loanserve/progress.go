package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// progress tells a person at a terminal how far the demo is, on one line that
// is written over. Anybody else gets a line in the log for each finished step.
type progress struct {
	mu       sync.Mutex
	terminal io.Writer // nil where there is none
	log      *slog.Logger
}

func newProgress(w io.Writer, log *slog.Logger) *progress {
	p := &progress{log: log}
	if isTerminal(w) {
		p.terminal = w
	}
	return p
}

// eraseLine returns to the beginning of the line and empties it.
const eraseLine = "\r\x1b[K"

// show says what is under way.
func (p *progress) show(what string) { p.line(what + " ...") }

// count says how many of a number of things are done.
func (p *progress) count(what string, done, total int) {
	p.line(fmt.Sprintf("%s: %d of %d", what, done, total))
}

func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal != nil {
		fmt.Fprint(p.terminal, eraseLine+text)
	}
}

// clear removes the line, so that something else can be printed.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal != nil {
		fmt.Fprint(p.terminal, eraseLine)
	}
}

// done says that a step is finished.
func (p *progress) done(ctx context.Context, step string, attrs ...slog.Attr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal == nil {
		p.log.LogAttrs(ctx, slog.LevelInfo, "demo", append([]slog.Attr{slog.String("step", step)}, attrs...)...)
		return
	}
	var b strings.Builder
	for i, a := range attrs {
		b.WriteString([]string{" (", ", "}[min(i, 1)] + a.String())
	}
	if len(attrs) > 0 {
		b.WriteString(")")
	}
	fmt.Fprintln(p.terminal, eraseLine+step+b.String())
}
