package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"loanserve/backup"
	"loanserve/backup/store"
	"loanserve/internal/pgcluster"
	"loanserve/jobs"
)

// backupRun is one kind's figures of a round.
type backupRun struct {
	own, bare, verify, restore time.Duration
	bytes                      int64
	peak                       int64 // of this process's memory, in bytes; 0 where the system does not tell
}

// backups measures backups of a database that has been filled to a size, beside
// the bare tools of PostgreSQL that make the same.
func (b *bench) backups(ctx context.Context, out io.Writer) error {
	if b.backupMB == 0 {
		return nil
	}
	size, err := b.fill(ctx)
	if err != nil {
		return err
	}
	dir, remove, err := pgcluster.Scratch(ctx, "")
	if err != nil {
		return err
	}
	defer func() { _ = remove() }()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "backup of %d MB\tstored MB\tMB/s\tbare tool, MB/s\tratio\tverified in\tof that restored in\t"+
		"memory peak MiB\n", size/mega)
	for round := range b.backupRounds + 1 {
		fmt.Fprintf(os.Stderr, "backups, round %d of %d%s\n", round, b.backupRounds, warmUp(round))
		for _, kind := range backup.Kinds() {
			r, err := b.backupRound(ctx, kind, filepath.Join(dir, strconv.Itoa(round)+string(kind)))
			if err != nil {
				return fmt.Errorf("%s backup: %w", kind, err)
			}
			if round > 0 {
				r.print(w, kind, size)
			}
		}
	}
	if err := b.besideBackups(ctx, w, filepath.Join(dir, "beside")); err != nil {
		return err
	}
	return w.Flush()
}

const mega = 1_000_000

func (r *backupRun) print(w io.Writer, kind backup.Kind, size int64) {
	rate := func(took time.Duration) float64 { return float64(size) / mega / took.Seconds() }
	fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.2f\t%.1f s\t%.1f s\t%d\n", kind, r.bytes/mega, rate(r.own), rate(r.bare),
		r.bare.Seconds()/r.own.Seconds(), r.verify.Seconds(), r.restore.Seconds(), r.peak/mebi)
}

// fill adds login attempts until the database has the size, and returns it.
func (b *bench) fill(ctx context.Context) (size int64, err error) {
	fmt.Fprintf(os.Stderr, "filling the database to %d MB\n", b.backupMB)
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for {
		if err := conn.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&size); err != nil {
			return 0, err
		}
		if size >= int64(b.backupMB)*mega {
			_, err := conn.Exec(ctx, `CHECKPOINT`)
			return size, err
		}
		_, err := conn.Exec(ctx, `INSERT INTO login_attempts (name, ip, outcome, attempted_at)
SELECT md5(random()::text), '192.0.2.1'::inet + (random() * 60000)::int, 'wrong_password',
  now() - random() * interval '80 days'
FROM generate_series(1, 500000)`)
		if err != nil {
			return 0, err
		}
	}
}

// backupRound makes the same backup twice, first with the bare tool, and verifies
// ours.
func (b *bench) backupRound(ctx context.Context, kind backup.Kind, dir string) (r backupRun, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, err
	}
	began := time.Now()
	if err := b.bareBackup(ctx, kind, filepath.Join(dir, "bare")); err != nil {
		return r, err
	}
	r.bare = time.Since(began)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return r, err
	}
	s, err := store.Open(ctx, "file://"+filepath.Join(dir, "own"), os.Getenv)
	if err != nil {
		return r, err
	}
	forgetPeak()
	began = time.Now()
	m, err := backup.Create(ctx, backup.Options{
		Kind: kind, DatabaseURL: b.url, Role: jobs.BackupRole, Store: s, Recipients: []age.Recipient{key.Recipient()},
		Program: "bench", Figures: jobs.BookFigures(),
	})
	if err != nil {
		return r, err
	}
	r.own, r.bytes = time.Since(began), m.Bytes()
	v, err := backup.Verify(ctx, backup.VerifyOptions{
		RestoreOptions: backup.RestoreOptions{Store: s, Identities: []age.Identity{key}},
		Program:        "bench", Figures: jobs.BookFigures(), Checks: jobs.BookChecks(),
	}, m.ID)
	if err != nil {
		return r, err
	}
	if !v.Verified {
		return r, fmt.Errorf("the backup was refused: %v", v.Findings)
	}
	r.verify, r.peak = v.FinishedAt.Sub(v.StartedAt), peak()
	r.restore = time.Duration(v.RestoreSeconds * float64(time.Second))
	return r, nil
}

// bareBackup runs what an administrator would: neither encrypts, hashes or reads
// the tables for a manifest.
func (b *bench) bareBackup(ctx context.Context, kind backup.Kind, target string) error {
	programs, err := pgcluster.Provision(ctx, nil)
	if err != nil {
		return err
	}
	program, args := "pg_dump", []string{"--format=custom", "--compress=1", "--file=" + target}
	database := b.url
	if kind == backup.Physical {
		program, args = "pg_basebackup", []string{
			"--format=tar", "--compress=server-zstd:level=3", "--wal-method=fetch", "--checkpoint=fast", "--pgdata=" + target,
		}
		u, err := url.Parse(b.url)
		if err != nil {
			return err
		}
		u.Path = ""
		database = u.String()
	}
	var said bytes.Buffer
	cmd := programs.Client(ctx, program, append(args, "--dbname="+database)...)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, said.String())
	}
	return nil
}

const selfStatus, selfForget = "/proc/self/status", "/proc/self/clear_refs"

// forgetPeak has the system count the peak of this process's memory from now on.
func forgetPeak() {
	const peakOnly = "5"
	_ = os.WriteFile(selfForget, []byte(peakOnly), 0o200) // Not every system has it.
}

// peak is the most memory that this process has had, 0 where nobody knows.
func peak() int64 {
	text, err := os.ReadFile(selfStatus)
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	const kibi = 1024
	n, _ := strconv.ParseInt(string(fields[0]), 10, 64) // The system writes numbers.
	return n * kibi
}
