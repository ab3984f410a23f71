package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/internal/pgcluster"
)

// VerifyOptions say how to verify.
type VerifyOptions struct {
	RestoreOptions

	// Program is the version of this program.
	Program string
	// Figures are asked again, as the backup has them.
	Figures []Question
	// Checks must each count nothing in the restored database.
	Checks []Check
}

// Verify restores a backup into a scratch server, compares it with its manifest,
// and stores what it found beside the backup. The server is a private one, and
// goes afterwards.
//
// A backup that is not what it should be is no error: its Verification says so. An
// error means that nothing was found out: the store or the key was missing, or the
// scratch server could not be made.
func Verify(ctx context.Context, o VerifyOptions, id string) (*Verification, error) {
	v := &Verification{
		BackupID: id, StartedAt: time.Now().UTC(), Program: o.Program, Findings: []string{}, Compared: []string{},
	}
	err := o.verify(ctx, v)
	if broken, ok := errors.AsType[*BrokenError](err); ok {
		v.Findings = append(v.Findings, broken.What)
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", id, err)
	}
	v.Verified, v.FinishedAt = len(v.Findings) == 0, time.Now().UTC()
	if err := writeVerification(ctx, o.Store, v); err != nil {
		return nil, stageError(StageCommit, err)
	}
	return v, nil
}

func (o *VerifyOptions) verify(ctx context.Context, v *Verification) (err error) {
	text, err := readSmall(ctx, o.Store, path.Join(v.BackupID, manifestName))
	if err == nil {
		sum := sha256.Sum256(text)
		v.ManifestSHA256 = hex.EncodeToString(sum[:])
	}
	m, err := ReadManifest(ctx, o.Store, v.BackupID)
	if err != nil {
		return stageOrBroken(StageFetch, err)
	}
	dir, remove, err := pgcluster.Scratch(ctx, o.Scratch)
	if err != nil {
		return stageError(StageRestore, err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, dirMode); err != nil {
		return stageError(StageRestore, err)
	}
	cluster, err := restoreCluster(ctx, o.RestoreOptions, m, data, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stageError(StageRestore, cluster.Stop())) }()
	v.RestoreSeconds = time.Since(v.StartedAt).Seconds()
	conn, err := connect(ctx, cluster.URL(m.Database.Name))
	if err != nil {
		return stageError(StageCompare, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error { return o.examine(ctx, tx, m, v) })
	return stageError(StageCompare, err)
}

// examine compares the restored database with the manifest and runs the checks.
func (o *VerifyOptions) examine(ctx context.Context, tx pgx.Tx, m *Manifest, v *Verification) error {
	got, _, err := readFacts(ctx, tx)
	if err != nil {
		return err
	}
	var oldestXID uint64
	if m.WAL != nil {
		oldestXID = m.WAL.OldestXID
	}
	if err := got.read(ctx, tx, m.Kind, oldestXID, o.Figures); err != nil {
		return err
	}
	c := &comparison{m: m, got: &got, v: v}
	c.schema()
	c.tables()
	c.sequences()
	c.figures()
	for _, check := range o.Checks {
		var n int64
		err := pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) (err error) {
			n, err = check.Count(ctx, inner)
			return err
		})
		switch {
		case isUndefined(err) && m.Schema.Version != 0:
			c.equal("%s: not looked for, the schema of this backup does not have it", check.Name)
		case err != nil:
			return fmt.Errorf("check %s: %w", check.Name, err)
		case n > 0:
			c.differs("%s: %d in the restored database", check.Name, n)
		default:
			c.equal("%s: none", check.Name)
		}
	}
	return nil
}
