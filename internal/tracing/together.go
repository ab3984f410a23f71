package tracing

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// maxLinks is how many links a span has at most; those beyond are dropped by most
// collectors.
const maxLinks = 128

// Together begins a span for work that is done for several others at once, whose spans
// are those of the set. Where it is for one, it is that one's child. Where it is for
// several it can be the child of none: it begins a trace of its own, with a link to
// each. Where none is recorded, nothing is begun, and nothing is allocated.
//
// The caller ends the span.
func Together[T any](ctx context.Context, name string, set []T, of func(*T) trace.Span) (context.Context, trace.Span) {
	var first trace.Span
	alone := true
	for i := range set {
		span := of(&set[i])
		switch {
		case span == nil || !span.IsRecording():
		case first == nil:
			first = span
		case first.SpanContext().SpanID() != span.SpanContext().SpanID():
			alone = false
		}
	}
	if first == nil {
		return ctx, trace.SpanFromContext(context.Background()) // The span that does nothing.
	}
	tracer := first.TracerProvider().Tracer(Name)
	if alone {
		return tracer.Start(trace.ContextWithSpan(ctx, first), name)
	}
	var links []trace.Link
	seen := map[trace.SpanID]bool{}
	for i := range set {
		span := of(&set[i])
		if span == nil || !span.IsRecording() || seen[span.SpanContext().SpanID()] || len(links) == maxLinks {
			continue
		}
		seen[span.SpanContext().SpanID()] = true
		links = append(links, trace.Link{SpanContext: span.SpanContext()})
	}
	return tracer.Start(ctx, name, trace.WithNewRoot(), trace.WithLinks(links...))
}
