package server

import (
	"context"
	"log/slog"
	"strconv"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
)

// subjectOf is what a request is about, for its line in the log: the ids in its path,
// by the names that they have there and in the lines of jobs. What stands where an id
// should be can be anything, a person's name too, and is left out.
func subjectOf(ctx context.Context) []slog.Attr {
	route := chi.RouteContext(ctx)
	if route == nil {
		return nil
	}
	var attrs []slog.Attr
	for i, name := range route.URLParams.Keys {
		value := route.URLParams.Values[i]
		switch name {
		case "loan_id", "job_id":
			if id, err := strconv.ParseInt(value, 10, 64); err == nil && id > 0 {
				attrs = append(attrs, slog.Int64(name, id))
			}
		case "payment_id", "reversal_id", "change_id", "run_id", "batch_id", "analysis_id",
			"disbursement_id", "return_id", "backup_id":
			if id, err := uuid.Parse(value); err == nil {
				attrs = append(attrs, slog.String(name, id.String()))
			}
		}
	}
	return attrs
}
