package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/queries"
)

func (s *Server) routeBackupVerifications() {
	register(s, ScopeBackupsRun, huma.Operation{
		OperationID: "verify-backup", Method: http.MethodPost, Path: "/v1/backups/{backup_id}/verifications",
		Tags: []string{"backups"}, Summary: "Have a backup proven again",
		Description: "It is restored into a scratch server, and compared. The verdict is at the Location. One that waits " +
			"to be proven is not asked for a second time, so this needs no key.",
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.verifyBackup)
}

type verifyBackupInput struct {
	BackupID uuid.UUID `path:"backup_id" format:"uuid"`
}

type verifyBackupOutput struct {
	Location   string `header:"Location"`
	RetryAfter int    `header:"Retry-After" doc:"Seconds after which to look."`
	Body       backup
}

func (s *Server) verifyBackup(ctx context.Context, in *verifyBackupInput) (*verifyBackupOutput, error) {
	shown, err := s.getBackup(ctx, &getBackupInput{BackupID: in.BackupID})
	if err != nil {
		return nil, err
	}
	if shown.Body.StoredAt.IsZero() || shown.Body.Status == queries.BackupStatusPruned {
		return nil, conflict("The backup is not in the store.")
	}
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if can, err := jobs.CanBackUp(ctx, tx); err != nil {
			return fmt.Errorf("look for workers: %w", err)
		} else if !can {
			return errNoBackups
		}
		if _, err := s.jobs.InsertTx(ctx, tx, jobs.VerifyBackupArgs{BackupID: in.BackupID}, nil); err != nil {
			return fmt.Errorf("enqueue verification: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	const lookAfter = 10
	return &verifyBackupOutput{
		Location: "/v1/backups/" + in.BackupID.String(), RetryAfter: lookAfter, Body: shown.Body,
	}, nil
}
