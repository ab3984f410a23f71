package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// rawCommand is the word that makes this program the raw server.
const rawCommand = "raw-server"

// rawInsert measures the limit of HTTP intake: the raw server, a process beside
// the load as the program is.
func (b *bench) rawInsert(ctx context.Context) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find this program: %w", err)
	}
	listen, admin, err := freePorts()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, rawCommand, b.url, strconv.Itoa(b.clients), listen, admin)
	s, err := startChild(ctx, cmd, listen, admin)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	err = b.send(ctx, s.base, b.loans/2+1)
	took := time.Since(start)
	return float64(b.payments) / took.Seconds(), errors.Join(err, s.stop())
}

// serveRaw is the limit itself: a server of the same router whose handler decodes
// the request and does one INSERT of the same row, and nothing else: no token, no
// check of the request, no job, no log.
func serveRaw(ctx context.Context, url, conns, listen, admin string) error {
	reserve := make([]byte, 64<<20) // as the program has, see cmd/loanserve/heap.go
	defer runtime.KeepAlive(reserve)
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	most, err := strconv.ParseInt(conns, 10, 32)
	if err != nil {
		return fmt.Errorf("connections: %w", err)
	}
	config.MaxConns = int32(most)
	config.ConnConfig.RuntimeParams["role"] = "loanserve_app"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer pool.Close()
	router := chi.NewRouter()
	router.Post("/v1/loans/{loan_id}/payments", func(w http.ResponseWriter, r *http.Request) {
		if err := insertRaw(r, pool); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	ready := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	failed := make(chan error, 2)
	for address, handler := range map[string]http.Handler{listen: router, admin: ready} {
		s := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		go func() { failed <- s.ListenAndServe() }()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	}
}

func insertRaw(r *http.Request, pool *pgxpool.Pool) error {
	var in struct {
		AmountCents int64  `json:"amount_cents"`
		ReceivedOn  string `json:"received_on"`
		Channel     string `json:"channel"`
		Designation string `json:"designation"`
	}
	loan, err := strconv.Atoi(chi.URLParam(r, "loan_id"))
	if err != nil {
		return err
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return err
	}
	_, err = pool.Exec(r.Context(), `
INSERT INTO payments (id, loan_id, amount_cents, received_on, channel, designation,
  requested_by, idempotency_key, request_hash)
VALUES ($1, $2, $3, $4::text::date, $5, $6, 'bench:raw', $7, sha256(''))`,
		uuid.Must(uuid.NewV7()), loan, in.AmountCents, in.ReceivedOn, in.Channel, in.Designation,
		r.Header.Get("Idempotency-Key"))
	return err
}
