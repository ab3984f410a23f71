package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/queries"
	"loanserve/server"
)

// pages measures how long the operations page takes, one request after another, by
// somebody who may see everything there is of servicing.
func (b *bench) pages(ctx context.Context, out io.Writer) error {
	if b.pageCalls == 0 {
		return nil
	}
	c, err := b.api.start(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { _ = c.stop() }()
	cookie, err := b.logIn(ctx, c.base)
	if err != nil {
		return err
	}
	paths, err := b.pagePaths(ctx)
	if err != nil {
		return err
	}
	var payments int64
	if err := b.pool.QueryRow(ctx, `SELECT count(*) FROM payments`).Scan(&payments); err != nil {
		return fmt.Errorf("count payments: %w", err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\npages at %d payments, %d calls each\tfirst\tp50\tp95\tslowest\tp95 to that of a page without data\n",
		payments, b.pageCalls)
	var empty time.Duration
	for _, path := range paths {
		fmt.Fprintln(os.Stderr, "asking for", path)
		took := make([]time.Duration, b.pageCalls)
		for i := range took {
			if took[i], err = askPage(ctx, c.base+path, cookie); err != nil {
				return err
			}
		}
		first := took[0]
		slices.Sort(took)
		const half, most, whole = 50, 95, 100
		p95 := took[len(took)*most/whole]
		if empty == 0 {
			empty = p95
		}
		fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%v\t%.1f\n", path, short(first), short(took[len(took)*half/whole]), short(p95),
			short(took[len(took)-1]), float64(p95)/float64(empty))
	}
	return w.Flush()
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// pageClient is where the operator's browser is, as the program's proxy says.
const pageClient = "192.0.2.1"

// logIn makes an operator, and returns the cookie of his session.
func (b *bench) logIn(ctx context.Context, base string) (*http.Cookie, error) {
	password := rand.Text()
	err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		_, err := server.Users{Tx: tx}.Create(ctx, server.Operator, queries.InsertUserParams{
			Name: "bench", FullName: "Bench", PasswordHash: server.HashPassword(password),
		}, []string{"operator"})
		return err
	})
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"name": "bench", "password": password, "cookie": true})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/sessions", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", pageClient)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated || len(answer.Cookies()) != 1 {
		problem, _ := io.ReadAll(answer.Body) // It is the error that is told of.
		return nil, fmt.Errorf("log in: %s %s", answer.Status, problem)
	}
	return answer.Cookies()[0], nil
}

// pagePaths are the pages, the first of them one without data.
func (b *bench) pagePaths(ctx context.Context) ([]string, error) {
	var loan int64
	var payment, number string
	err := b.pool.QueryRow(ctx, `
SELECT l.id, p.id::text, l.loan_number FROM payments p JOIN loans l ON l.id = p.loan_id ORDER BY p.id DESC LIMIT 1`).
		Scan(&loan, &payment, &number)
	if err != nil {
		return nil, fmt.Errorf("find a payment: %w", err)
	}
	of := "/ops/loans/" + strconv.FormatInt(loan, 10)
	return []string{
		"/ops/do/close-day", "/ops/", "/ops/loans", "/ops/loans?q=" + number[:2], "/ops/loans?q=nobody", of,
		of + "/transactions?order=newest", "/ops/payments", "/ops/payments?status=received", "/ops/payments?status=posted",
		"/ops/payments?status=rejected", "/ops/payments?status=reversed", "/ops/payments?channel=wire",
		"/ops/payments?received_from=2199-01-01", "/ops/payments?loan_number=" + number, "/ops/payments?external_ref=none",
		"/ops/payments/" + payment, "/ops/reversals", "/ops/batches", "/ops/exceptions", "/ops/changes", "/ops/analyses",
		"/ops/analyses?status=rejected", "/ops/disbursements", "/ops/runs", "/ops/runs?kind=close_day",
		"/ops/runs?status=failed", "/ops/queues", "/ops/queues/jobs", "/ops/backups", "/ops/findings", "/ops/sessions",
	}, nil
}

// askPage returns how long a page took to its last byte.
func askPage(ctx context.Context, url string, cookie *http.Cookie) (time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.AddCookie(cookie)
	r.Header.Set("X-Forwarded-For", pageClient)
	start := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, err
	}
	took := time.Since(start)
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", url, answer.Status)
	}
	return took, nil
}
