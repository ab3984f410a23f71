package server

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// startSpan begins the span of a request, as part of the caller's trace where it names
// one. Without a tracer it does nothing.
func (s *Server) startSpan(r *http.Request, req *request) (context.Context, trace.Span) {
	ctx := r.Context()
	if s.tracer == nil {
		return ctx, nil
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	ctx, span := s.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("request_id", req.id)))
	if span.SpanContext().IsValid() {
		req.traceID = span.SpanContext().TraceID().String()
	}
	return ctx, span
}

// endSpan names the span by the route, which is known by now. The path is not in it.
func endSpan(span trace.Span, r *http.Request, status int) {
	if span == nil {
		return
	}
	route := routeOf(r)
	span.SetName(r.Method + " " + route)
	span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
