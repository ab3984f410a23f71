package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/queries"
)

func (s *Server) routeBackups() {
	register(s, ScopeBackupsRun, huma.Operation{
		OperationID: "create-backup", Method: http.MethodPost, Path: "/v1/backups", Tags: []string{"backups"},
		Summary: "Back the database up",
		Description: "Has a worker that knows a store make a backup and verify it by restoring it into a scratch server. " +
			"Workers do the same by themselves, every night. What has become of it is at the Location.",
		DefaultStatus: http.StatusAccepted,
	}, s.createBackup)
	register(s, ScopeBackupsRead, huma.Operation{
		OperationID: "get-backup", Method: http.MethodGet, Path: "/v1/backups/{backup_id}", Tags: []string{"backups"},
		Summary: "Get a backup", Errors: []int{http.StatusNotFound},
	}, s.getBackup)
	register(s, ScopeBackupsRead, huma.Operation{
		OperationID: "list-backups", Method: http.MethodGet, Path: "/v1/backups", Tags: []string{"backups"},
		Summary: "List backups, the latest wish first",
	}, s.listBackups)
}

// backup is a backup as the API shows it.
type backup struct {
	BackupID    uuid.UUID            `json:"backup_id" format:"uuid"`
	Kind        queries.BackupKind   `json:"kind" enum:"physical,logical"`
	Status      queries.BackupStatus `json:"status" enum:"requested,stored,verified,refused,failed,pruned" doc:"requested: waits, is under way, or will be tried again. stored: in the store, and not proven. verified: restored, and found as it should be. refused: restored or not, and not as it should be. failed: given up. pruned: deleted from the store, because no generation needed it."`
	RequestedBy string               `json:"requested_by"`
	CreatedAt   time.Time            `json:"created_at"`
	StoreName   string               `json:"store_name,omitzero" doc:"Its name in the store, for the commands."`
	SizeBytes   int64                `json:"size_bytes,omitzero" doc:"As it is stored."`
	StartedAt   time.Time            `json:"started_at,omitzero" doc:"What it holds is of this moment or later."`
	StoredAt    time.Time            `json:"stored_at,omitzero"`
	VerifiedAt  time.Time            `json:"verified_at,omitzero" doc:"Of the latest verification, whatever it found."`
	RestoreMs   int64                `json:"restore_ms,omitzero" doc:"How long the restore into the scratch server took then."`
	Findings    []string             `json:"findings,omitzero" doc:"What is not as it should be; not in lists."`
	FailedStage string               `json:"failed_stage,omitzero" doc:"Where the latest attempt failed that did; a later one may have succeeded."`
	Failure     string               `json:"failure,omitzero" doc:"Why; not in lists."`
}

// requestedBackup shows a backup as it was when it was asked for.
func requestedBackup(row queries.Backup) backup {
	return backup{
		BackupID: row.ID, Kind: row.Kind, Status: queries.BackupStatusRequested, RequestedBy: row.RequestedBy,
		CreatedAt: row.CreatedAt.UTC(),
	}
}

// backupOf shows a backup as it is now, without what lists leave out.
func backupOf(row queries.Backup) backup {
	shown := requestedBackup(row)
	shown.Status = row.Status
	shown.StoreName, shown.SizeBytes = orZero(row.StoreName), orZero(row.SizeBytes)
	shown.StartedAt, shown.StoredAt = orZero(row.StartedAt).UTC(), orZero(row.StoredAt).UTC()
	shown.VerifiedAt, shown.RestoreMs = orZero(row.VerifiedAt).UTC(), orZero(row.RestoreMs)
	shown.FailedStage = orZero(row.FailedStage)
	return shown
}

// orZero is what p points to, or zero.
func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

type createBackupInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body backupWish
}

type backupWish struct {
	Kind queries.BackupKind `json:"kind" enum:"physical,logical" doc:"physical: the whole server, which has to let itself be copied. logical: the database."`
}

type createBackupOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Replayed   string `header:"Idempotent-Replayed" doc:"true when this is the first answer again."`
	Body       backup
}

func (s *Server) createBackup(ctx context.Context, in *createBackupInput) (*createBackupOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make backup id: %w", err)
	}
	hash, err := fingerprint("create-backup", "/v1/backups", &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertBackupParams{
		ID: id, Kind: in.Body.Kind, RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	row, replayed, err := once(
		func() (row queries.Backup, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptBackup(ctx, tx, arg)
				return err
			})
			return row, err
		},
		func() (queries.Backup, error) { return s.q.GetBackupByKey(ctx, arg.RequestedBy, arg.IdempotencyKey) },
		func(row queries.Backup) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	const lookAfter = 10
	return &createBackupOutput{
		Location: "/v1/backups/" + row.ID.String(), RetryAfter: lookAfter, Replayed: replayed, Body: requestedBackup(row),
	}, nil
}

// acceptBackup stores the wish and enqueues its job. It returns errKeyTaken, and
// stores nothing, when the idempotency key is taken.
func (s *Server) acceptBackup(ctx context.Context, tx pgx.Tx, arg queries.InsertBackupParams) (queries.Backup, error) {
	row, err := queries.New(tx).InsertBackup(ctx, arg)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errKeyTaken
	}
	if err != nil {
		return row, fmt.Errorf("insert backup: %w", err)
	}
	if _, err := s.jobs.InsertTx(ctx, tx, jobs.BackUpDatabaseArgs{BackupID: row.ID}, nil); err != nil {
		return row, fmt.Errorf("enqueue backup: %w", err)
	}
	return row, nil
}

type getBackupInput struct {
	BackupID uuid.UUID `path:"backup_id" format:"uuid"`
}

type getBackupOutput struct{ Body backup }

func (s *Server) getBackup(ctx context.Context, in *getBackupInput) (*getBackupOutput, error) {
	row, err := s.q.GetBackup(ctx, in.BackupID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("There is no such backup.")
	}
	if err != nil {
		return nil, fmt.Errorf("get backup: %w", err)
	}
	out := &getBackupOutput{Body: backupOf(row)}
	out.Body.Failure = orZero(row.Failure)
	if err := json.Unmarshal(row.Findings, &out.Body.Findings); err != nil {
		return nil, fmt.Errorf("read findings of backup %s: %w", row.ID, err)
	}
	return out, nil
}

type listBackupsInput struct{ Page }

type listBackupsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body backupPage
}

type backupPage struct {
	Data       []backup `json:"data"`
	NextCursor string   `json:"next_cursor,omitzero" doc:"Left out on the last page."`
	// PruningRefused is why none of them is deleted at the moment.
	PruningRefused string `json:"pruning_refused,omitzero" doc:"Why no backup is deleted at the moment: the loss alarm is on. Left out otherwise."`
}

func (s *Server) listBackups(ctx context.Context, in *listBackupsInput) (*listBackupsOutput, error) {
	before, err := in.beforeID()
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListBackups(ctx, before, in.Limit+1)
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.Backup) string { return r.ID.String() })
	out := &listBackupsOutput{}
	for _, row := range rows {
		out.Body.Data = append(out.Body.Data, backupOf(row))
	}
	if err := jobs.CheckLosses(ctx, s.db); errors.Is(err, jobs.ErrLosses) {
		out.Body.PruningRefused = err.Error()
	} else if err != nil {
		return nil, err
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/backups", next, nil)
	}
	return out, nil
}
