package tracing

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// SQL makes a span of each statement that belongs to one. What the program does by
// itself, such as asking for jobs, makes none. It records neither arguments nor the
// text of statements and errors: PostgreSQL quotes values in the latter.
type SQL struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (SQL) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return begin(ctx, statementName(data.SQL))
}

// TraceQueryEnd implements pgx.QueryTracer.
func (SQL) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(ctx, data.Err, data.CommandTag.RowsAffected())
}

// TraceBatchStart implements pgx.BatchTracer.
func (SQL) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	name := "batch"
	if data.Batch != nil && len(data.Batch.QueuedQueries) > 0 {
		name = statementName(data.Batch.QueuedQueries[0].SQL)
	}
	return begin(ctx, name)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (SQL) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (SQL) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	end(ctx, data.Err, 0)
}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (SQL) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromStartData) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return begin(ctx, "COPY "+strings.Join(data.TableName, "."))
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (SQL) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	end(ctx, data.Err, data.CommandTag.RowsAffected())
}

// begun is the span of the statement at work, so that an end finds its own.
type begun struct{}

func begin(ctx context.Context, name string) context.Context {
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(Name).Start(ctx, name,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql")))
	return context.WithValue(ctx, begun{}, span)
}

func end(ctx context.Context, err error, rows int64) {
	span, ok := ctx.Value(begun{}).(trace.Span)
	if !ok {
		return
	}
	if rows > 0 {
		span.SetAttributes(attribute.Int64("db.response.affected_rows", rows))
	}
	if err != nil {
		kind := "error"
		if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
			kind = refusal.Code
		}
		span.SetAttributes(attribute.String("error.type", kind))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// statementName is the name that a statement's own comment gives it, or its first word.
func statementName(sql string) string {
	text := strings.TrimSpace(sql)
	if rest, ok := strings.CutPrefix(text, "-- name: "); ok {
		text = rest
	}
	for i, r := range text {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' {
			return text[:i]
		}
	}
	return text
}
