package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"loanserve/internal/postingrate"
)

// workers is how many payments the engine posts at the same time.
const workers = 200

// api is the real program, built and ready to be started as a process.
type api struct {
	dir    string
	binary string
	url    string // the database's
	token  string
	env    []string // more of it, for processes that are started from now on
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
		"LOANSERVE_CLOSE_DAY_AT=off", // Nothing else is to run.
		"LOANSERVE_TRUSTED_PROXIES=127.0.0.1/32")
	cmd.Env = append(cmd.Env, a.env...)
	return cmd
}

// child is a process that answers requests.
type child struct {
	cmd         *exec.Cmd
	base, admin string
}

// serve runs the program until the returned function is called.
func (a *api) serve(ctx context.Context, jobWorkers int) (base string, stop func() error, err error) {
	c, err := a.start(ctx, jobWorkers)
	if err != nil {
		return "", nil, err
	}
	return c.base, c.stop, nil
}

// start runs the program until it is stopped.
func (a *api) start(ctx context.Context, jobWorkers int) (*child, error) {
	listen, admin, err := freePorts()
	if err != nil {
		return nil, err
	}
	cmd := a.command(ctx, "serve", "--listen", listen, "--admin-listen", admin, "--workers", strconv.Itoa(jobWorkers))
	return startChild(ctx, cmd, listen, admin)
}

// startChild starts the command and returns once it is ready.
func startChild(ctx context.Context, cmd *exec.Cmd, listen, admin string) (*child, error) {
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	c := &child{cmd: cmd, base: "http://" + listen, admin: "http://" + admin}
	for range 500 {
		if _, err := c.get(ctx, "/readyz"); err == nil {
			return c, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, errors.Join(postingrate.ErrSlow, c.stop())
}

func (c *child) stop() error {
	_ = c.cmd.Process.Signal(os.Interrupt)
	return c.cmd.Wait()
}

// get returns what the admin listener has at the path.
func (c *child) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.admin+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d", path, res.StatusCode)
	}
	return body, err
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

// httpIntake sends payments to the program, which works no jobs meanwhile; they
// are posted after the clock was stopped.
func (b *bench) httpIntake(ctx context.Context) (float64, error) {
	rate, err := b.served(ctx, 0, func(c *child) error {
		profiled := b.profile(ctx, c, "intake")
		return errors.Join(b.send(ctx, c.base, 1), profiled())
	})
	if err != nil {
		return 0, err
	}
	_, err = b.served(ctx, workers, func(*child) error { return b.portfolio.UntilPosted(ctx) })
	return rate, err
}

// httpToBooks sends payments to the program, which posts them meanwhile, and
// stops the clock when the last one is in the ledger.
func (b *bench) httpToBooks(ctx context.Context) (float64, error) {
	return b.served(ctx, workers, func(c *child) error {
		if err := b.send(ctx, c.base, 1); err != nil {
			return err
		}
		return b.portfolio.UntilPosted(ctx)
	})
}

// served measures what is done with the program while it runs.
func (b *bench) served(ctx context.Context, jobWorkers int, do func(*child) error) (float64, error) {
	c, err := b.api.start(ctx, jobWorkers)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	err = do(c)
	took := time.Since(start)
	return float64(b.payments) / took.Seconds(), errors.Join(err, c.stop())
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
