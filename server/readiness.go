package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Check is one thing without which the program cannot serve. Its name and its
// verdict are shown; the error goes to the log.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// checkTimeout bounds all checks of one request together: a probe that hangs is
// a failed probe.
const checkTimeout = 3 * time.Second

// readiness runs the checks and remembers how each went, so that the log has a
// line for each change and not for each probe: there is one every few seconds.
type readiness struct {
	log    *slog.Logger
	checks []Check

	mu      sync.Mutex
	failing map[string]bool
}

// probe runs the checks one after the other and returns a line for each.
func (r *readiness) probe(asked context.Context) (status int, report string) {
	ctx, cancel := context.WithTimeout(asked, checkTimeout)
	defer cancel()
	status = http.StatusOK
	var lines strings.Builder
	for _, check := range r.checks {
		verdict := "ok"
		err := check.Run(ctx)
		if err != nil {
			status, verdict = http.StatusServiceUnavailable, "failed"
		}
		if asked.Err() == nil { // Else who asked has gone, which fails a check as well.
			r.note(ctx, check.Name, err)
		}
		lines.WriteString(check.Name + ": " + verdict + "\n")
	}
	return status, lines.String()
}

// note logs that a check has begun to fail, or has ceased to.
func (r *readiness) note(ctx context.Context, check string, err error) {
	r.mu.Lock()
	changed := r.failing[check] != (err != nil)
	r.failing[check] = err != nil
	r.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		r.log.LogAttrs(ctx, slog.LevelWarn, "not ready", slog.String("check", check), causeAttr(err))
	default:
		r.log.LogAttrs(ctx, slog.LevelInfo, "ready again", slog.String("check", check))
	}
}
