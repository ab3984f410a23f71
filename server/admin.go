package server

import (
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewAdmin returns the handler of the admin listener, which must not be
// reachable from outside:
//
//	/livez         the process answers
//	/readyz        200 when every check passes, 503 otherwise; ?verbose lists them
//	/metrics       what the gatherer has
//	/debug/pprof/  profiles
func NewAdmin(log *slog.Logger, gatherer prometheus.Gatherer, checks []Check) http.Handler {
	readiness := &readiness{log: log, checks: checks, failing: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, report := readiness.probe(r.Context())
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

func writeText(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}
