package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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

// NewAdmin returns the handler of the admin listener, which must not be
// reachable from outside:
//
//	/livez         the process answers
//	/readyz        200 when every check passes, 503 otherwise; ?verbose lists them
//	/metrics       what the gatherer has
//	/debug/pprof/  profiles
func NewAdmin(log *slog.Logger, gatherer prometheus.Gatherer, checks []Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, report := ready(r.Context(), log, checks)
		if !r.URL.Query().Has("verbose") {
			report = strings.ToLower(http.StatusText(status)) + "\n"
		}
		writeText(w, status, report)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// ready runs the checks one after the other and returns a line for each.
func ready(ctx context.Context, log *slog.Logger, checks []Check) (status int, report string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	status = http.StatusOK
	var lines strings.Builder
	for _, check := range checks {
		verdict := "ok"
		if err := check.Run(ctx); err != nil {
			status, verdict = http.StatusServiceUnavailable, "failed"
			log.LogAttrs(ctx, slog.LevelWarn, "not ready", slog.String("check", check.Name), causeAttr(err))
		}
		lines.WriteString(check.Name + ": " + verdict + "\n")
	}
	return status, lines.String()
}

func writeText(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}
