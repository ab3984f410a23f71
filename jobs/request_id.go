package jobs

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"loanserve/internal/requestid"
)

// requestIDKey is the key of a job's metadata that says which request made it.
const requestIDKey = "request_id"

// requestIDs writes the id of the request that makes a job into the job, so that the
// lines of both in the log can be found by one id. What a job does has the id as well,
// and so have the jobs that it makes. It is a River plugin, both when jobs are inserted
// and when they are worked.
type requestIDs struct{ river.PluginDefaults }

// InsertBegin implements rivertype.HookInsertBegin.
func (*requestIDs) InsertBegin(ctx context.Context, p *rivertype.JobInsertParams) error {
	id := requestid.Of(ctx)
	if id == "" {
		return nil
	}
	return addMetadata(p, requestIDKey, id)
}

// Work implements rivertype.WorkerMiddleware.
func (*requestIDs) Work(ctx context.Context, job *rivertype.JobRow, inner func(context.Context) error) error {
	return inner(requestid.With(ctx, requestOf(job)))
}

// requestOf is the id of the request that made a job, or "".
func requestOf(job *rivertype.JobRow) string {
	var metadata struct {
		RequestID string `json:"request_id"`
	}
	if len(job.Metadata) <= len("{}") || json.Unmarshal(job.Metadata, &metadata) != nil {
		return ""
	}
	return metadata.RequestID
}

// addMetadata adds a text to what a job has besides its arguments.
func addMetadata(p *rivertype.JobInsertParams, key, value string) error {
	metadata := map[string]json.RawMessage{}
	if len(p.Metadata) > len("{}") {
		if err := json.Unmarshal(p.Metadata, &metadata); err != nil {
			return fmt.Errorf("metadata of the job: %w", err)
		}
	}
	text, err := json.Marshal(value)
	if err == nil {
		metadata[key] = text
		p.Metadata, err = json.Marshal(metadata)
	}
	return err
}
