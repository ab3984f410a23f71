package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"loanserve/queries"
)

// besideBackups measures what payments at the steady rate notice of the night's
// backups, made and verified by the process that posts them.
func (b *bench) besideBackups(ctx context.Context, w io.Writer, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	creation := b.api.command(ctx, "token", "create", "--name", "bench-backup", "--scope", "backups:run,backups:read")
	out, err := creation.Output()
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(out))
	b.api.env = []string{"LOANSERVE_BACKUP_URL=file://" + dir, "LOANSERVE_BACKUP_AT=off"}
	defer func() { b.api.env = nil }()
	c, err := b.api.start(ctx, workers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	fmt.Fprintln(os.Stderr, "payments alone, then with backups")
	alone, err := b.payFor(ctx, c.base, paymentsAlone)
	if err != nil {
		return err
	}
	for _, kind := range []queries.BackupKind{queries.BackupKindPhysical, queries.BackupKindLogical} {
		beside, err := b.payWhile(ctx, c.base, func(ctx context.Context) error {
			return b.backUpByJob(ctx, c.base, token, kind)
		})
		if err != nil {
			return fmt.Errorf("%s backup beside payments: %w", kind, err)
		}
		printFlows(w, fmt.Sprintf("with a %s backup and its verification", kind), alone, beside)
	}
	return nil
}

// backUpByJob asks for a backup as anybody may, and returns when it is verified.
func (b *bench) backUpByJob(ctx context.Context, base, token string, kind queries.BackupKind) error {
	send := func(method, path, body string, status int, into any) error {
		req, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		if method == http.MethodPost {
			req.Header.Set("Idempotency-Key", fmt.Sprintf("%q", "bench "+kind))
		}
		answer, err := answer(req, status)
		if err != nil {
			return err
		}
		return json.Unmarshal(answer, into)
	}
	var row struct {
		ID       string   `json:"backup_id"`
		Status   string   `json:"status"`
		Findings []string `json:"findings"`
		Failure  string   `json:"failure"`
	}
	wish := fmt.Sprintf(`{"kind":%q}`, kind)
	if err := send(http.MethodPost, "/v1/backups", wish, http.StatusAccepted, &row); err != nil {
		return err
	}
	for {
		if err := send(http.MethodGet, "/v1/backups/"+row.ID, "", http.StatusOK, &row); err != nil {
			return err
		}
		switch queries.BackupStatus(row.Status) {
		case queries.BackupStatusVerified:
			return nil
		case queries.BackupStatusRequested, queries.BackupStatusStored:
		default:
			return fmt.Errorf("the backup is %s: %s %v", row.Status, row.Failure, row.Findings)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
