package jobs

import (
	"context"
	"encoding/json"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"loanserve/internal/tracing"
)

// traceparent is the key of a job's metadata that says during which span it was handed
// to the queue, in the form of W3C Trace Context.
const traceparent = "traceparent"

// Tracing makes a span of each attempt at a job, and links it with the span in which
// the job was inserted. It is no child of that: a job may run hours later, and again.
// It is a River plugin, both when jobs are inserted and when they are worked.
type Tracing struct {
	river.PluginDefaults

	tracer trace.Tracer
}

// NewTracing returns what makes spans by the provider.
func NewTracing(provider trace.TracerProvider) *Tracing {
	return &Tracing{PluginDefaults: river.PluginDefaults{}, tracer: provider.Tracer(tracing.Name)}
}

// plugins puts it before others, so that what they log is of the job's span; nil
// is none.
func (t *Tracing) plugins(others ...rivertype.Plugin) []rivertype.Plugin {
	if t == nil {
		return others
	}
	return append([]rivertype.Plugin{t}, others...)
}

// InsertBegin implements rivertype.HookInsertBegin.
func (*Tracing) InsertBegin(ctx context.Context, p *rivertype.JobInsertParams) error {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return addMetadata(p, traceparent, carrier[traceparent])
}

// Work implements rivertype.WorkerMiddleware.
func (t *Tracing) Work(ctx context.Context, job *rivertype.JobRow, inner func(context.Context) error) error {
	options := []trace.SpanStartOption{
		trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			attribute.Int64("job_id", job.ID), attribute.String("kind", job.Kind),
			attribute.String("queue", job.Queue), attribute.Int("attempt", job.Attempt),
		),
	}
	if from := insertedBy(job); from.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
	}
	ctx, span := t.tracer.Start(ctx, "job "+job.Kind, options...)
	defer span.End() // After a panic as well.
	err := inner(ctx)
	if outcome := outcomeOf(job, err); outcome != outcomeSucceeded {
		span.SetAttributes(attribute.String("outcome", outcome))
		span.SetStatus(codes.Error, "")
	}
	return err
}

// insertedBy is the span in which a job was inserted, where it is known.
func insertedBy(job *rivertype.JobRow) trace.SpanContext {
	var metadata struct {
		Traceparent string `json:"traceparent"`
	}
	if len(job.Metadata) == 0 || json.Unmarshal(job.Metadata, &metadata) != nil || metadata.Traceparent == "" {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{traceparent: metadata.Traceparent}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}
