package jobs

import (
	"context"
	"testing"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"loanserve/internal/requestid"
)

// The id of a request stands beside what else a job has, in whichever order it comes.
func TestRequestIDInMetadata(t *testing.T) {
	t.Parallel()
	provider := sdktrace.NewTracerProvider()
	ctx, span := provider.Tracer("test").Start(requestid.With(t.Context(), `r-1"`), "request")
	defer span.End()
	type hook interface {
		InsertBegin(ctx context.Context, p *rivertype.JobInsertParams) error
	}
	ids, traces := &requestIDs{}, NewTracing(provider)
	for _, hooks := range [][]hook{{ids, traces}, {traces, ids}} {
		p := &rivertype.JobInsertParams{Metadata: []byte(`{"other":{"a":1}}`)}
		for _, h := range hooks {
			require.NoError(t, h.InsertBegin(ctx, p))
		}
		job := &rivertype.JobRow{Metadata: p.Metadata}
		require.Equal(t, `r-1"`, requestOf(job))
		require.Equal(t, span.SpanContext().SpanID(), insertedBy(job).SpanID())
		require.Contains(t, string(p.Metadata), `"other":{"a":1}`)
	}

	p := &rivertype.JobInsertParams{Metadata: []byte(`{}`)}
	require.NoError(t, ids.InsertBegin(t.Context(), p))
	require.Equal(t, `{}`, string(p.Metadata), "no request, no id")
	require.Error(t, ids.InsertBegin(ctx, &rivertype.JobInsertParams{Metadata: []byte(`[1,2]`)}))
	for _, none := range []string{"", "{}", "[1,2]", `{"request_id":7}`} {
		require.Empty(t, requestOf(&rivertype.JobRow{Metadata: []byte(none)}), none)
	}
}
