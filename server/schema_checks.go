package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/mortgage"
	"loanserve/queries"
)

func (s *Server) routeSchemaChecks() {
	register(s, ScopeHousekeepingRun, huma.Operation{
		OperationID: "check-schema", Method: http.MethodPost, Path: "/v1/schema-checks", Tags: []string{"runs"},
		Summary: "Check the database's schema",
		Description: "Compares the database with what this program's migrations make: tables, columns, keys, indexes, " +
			"triggers, functions, types, sequences, views, and what roles may do. Workers do the same by themselves, every " +
			"five minutes. The run's findings are the differences, each with the statement that would mend it; nothing is " +
			"changed. The run has failed where the database could not be judged.",
		DefaultStatus: http.StatusAccepted,
	}, s.checkSchema)
}

type checkSchemaInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"600" doc:"Makes the request safe to repeat."`
	Body struct{}
}

// checkSchema stores the run and enqueues its job, once for each key.
func (s *Server) checkSchema(ctx context.Context, in *checkSchemaInput) (*runOutput, error) {
	key, err := parseKey(in.Key)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make run id: %w", err)
	}
	hash, err := fingerprint("check-schema", "/v1/schema-checks", &in.Body)
	if err != nil {
		return nil, err
	}
	arg := queries.InsertRunParams{
		ID: id, Kind: queries.RunKindCheckSchema, AsOfOn: mortgage.DateOf(time.Now()),
		RequestedBy: PrincipalOf(ctx).ID, IdempotencyKey: key, RequestHash: hash,
	}
	row, replayed, err := once(
		func() (row queries.Run, err error) {
			err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				row, err = s.acceptRun(ctx, tx, arg, jobs.CheckSchemaArgs{RunID: id})
				return err
			})
			return row, err
		},
		func() (queries.Run, error) { return s.q.GetRunByKey(ctx, arg.RequestedBy, arg.IdempotencyKey) },
		func(row queries.Run) []byte { return row.RequestHash }, arg.RequestHash)
	if err != nil {
		return nil, err
	}
	return &runOutput{
		Location: "/v1/runs/" + row.ID.String(), RetryAfter: 1, Replayed: replayed, Body: requestedRun(row),
	}, nil
}
