package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// workers is how many payments the engine posts at the same time.
const workers = 200

// api is the real program, built and ready to be started as a process.
type api struct {
	dir    string
	binary string
	url    string // the database's
	token  string
}

// startAPI builds the program and makes it a token.
func startAPI(ctx context.Context, url string) (*api, error) {
	dir, err := os.MkdirTemp("", "loanserve-bench-")
	if err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	a := &api{dir: dir, binary: filepath.Join(dir, "loanserve"), url: url}
	build := exec.CommandContext(ctx, "go", "build", "-o", a.binary, "./cmd/loanserve")
	if out, err := build.CombinedOutput(); err != nil {
		a.stop()
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	cmd := a.command(ctx, "token", "create", "--name", "bench", "--scope", "payments:write")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		a.stop()
		return nil, fmt.Errorf("token: %w", err)
	}
	a.token = strings.TrimSpace(string(out))
	return a, nil
}

func (a *api) stop() { _ = os.RemoveAll(a.dir) }

func (a *api) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, a.binary, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+a.url, "LOANSERVE_LOG_LEVEL=error",
		"LOANSERVE_CLOSE_DAY_AT=off") // Nothing else is to run.
	return cmd
}

// serve runs the program until the returned function is called.
func (a *api) serve(ctx context.Context, jobWorkers int) (base string, stop func() error, err error) {
	listen, admin, err := freePorts()
	if err != nil {
		return "", nil, err
	}
	cmd := a.command(ctx, "serve", "--listen", listen, "--admin-listen", admin, "--workers", strconv.Itoa(jobWorkers))
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start: %w", err)
	}
	stop = func() error {
		_ = cmd.Process.Signal(os.Interrupt)
		return cmd.Wait()
	}
	for range 500 {
		res, err := http.Get("http://" + admin + "/readyz") //nolint:noctx // Our own process on loopback.
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return "http://" + listen, stop, nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = stop()
	return "", nil, errSlow
}

func freePorts() (first, second string, err error) {
	for _, address := range []*string{&first, &second} {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // A port, at once given back.
		if err != nil {
			return "", "", fmt.Errorf("find a port: %w", err)
		}
		defer func() { _ = l.Close() }()
		*address = l.Addr().String()
	}
	return first, second, nil
}

// rawInsert is the limit: a handler that decodes the request and does one
// INSERT of the same row, and nothing else.
func (b *bench) rawInsert(ctx context.Context) (float64, error) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			AmountCents int64  `json:"amount_cents"`
			ReceivedOn  string `json:"received_on"`
			Channel     string `json:"channel"`
		}
		loan, err := strconv.Atoi(r.PathValue("loan_id"))
		if err == nil {
			err = json.NewDecoder(r.Body).Decode(&in)
		}
		if err == nil {
			id := uuid.Must(uuid.NewV7())
			_, err = b.pool.Exec(r.Context(), `
INSERT INTO payments (id, loan_id, amount_cents, received_on, channel, designation,
  requested_by, idempotency_key, request_hash)
VALUES ($1, $2, $3, $4::text::date, $5, 'periodic', 'bench:raw', $6, sha256(''))`,
				id, loan, in.AmountCents, in.ReceivedOn, in.Channel, r.Header.Get("Idempotency-Key"))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/loans/{loan_id}/payments", handler)
	s := httptest.NewServer(mux)
	defer s.Close()
	start := time.Now()
	err := b.send(ctx, s.URL, b.loans/2+1)
	return float64(b.payments) / time.Since(start).Seconds(), err
}

// httpIntake sends payments to the program, which works no jobs meanwhile; they
// are posted after the clock was stopped.
func (b *bench) httpIntake(ctx context.Context) (float64, error) {
	base, stop, err := b.api.serve(ctx, 0)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	err = b.send(ctx, base, 1)
	took := time.Since(start)
	if stopErr := stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return 0, err
	}
	if _, stop, err = b.api.serve(ctx, workers); err != nil {
		return 0, err
	}
	err = b.untilPosted(ctx)
	if stopErr := stop(); err == nil {
		err = stopErr
	}
	return float64(b.payments) / took.Seconds(), err
}

// httpToBooks sends payments to the program, which posts them meanwhile, and
// stops the clock when the last one is in the ledger.
func (b *bench) httpToBooks(ctx context.Context) (float64, error) {
	base, stop, err := b.api.serve(ctx, workers)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err = b.send(ctx, base, 1); err == nil {
		err = b.untilPosted(ctx)
	}
	took := time.Since(start)
	if stopErr := stop(); err == nil {
		err = stopErr
	}
	return float64(b.payments) / took.Seconds(), err
}

// send posts the payments over the given number of connections.
func (b *bench) send(ctx context.Context, base string, firstLoan int) error {
	const stride = 7919
	body := []byte(`{"amount_cents":100000,"received_on":"2026-02-01","channel":"ach","designation":"periodic"}`)
	group, ctx := errgroup.WithContext(ctx)
	for c := range b.conns {
		group.Go(func() error {
			client, err := dial(ctx, base)
			if err != nil {
				return err
			}
			defer func() { _ = client.conn.Close() }()
			for i := c; i < b.payments; i += b.conns {
				path := fmt.Sprintf("/v1/loans/%d/payments", firstLoan+i*stride%(b.loans/2))
				if err := client.post(path, b.api.token, uuid.NewString(), body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
