package tracing_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"loanserve/internal/tracing"
)

func itself(s *trace.Span) trace.Span { return *s }

func TestTogether(t *testing.T) {
	t.Parallel()
	ended := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)).Tracer("test")
	var set []trace.Span
	for range 200 {
		_, span := tracer.Start(t.Context(), "request")
		set = append(set, span)
	}
	_, one := tracing.Together(t.Context(), "one", []trace.Span{set[0], set[0], nil}, itself)
	one.End()
	_, several := tracing.Together(t.Context(), "several", set[:2], itself)
	several.End()
	_, many := tracing.Together(t.Context(), "many", set, itself)
	many.End()
	_, none := tracing.Together(t.Context(), "none", []trace.Span{nil}, itself)
	none.End()

	spans := ended.Ended()
	require.Len(t, spans, 3)
	require.Equal(t, set[0].SpanContext().SpanID(), spans[0].Parent().SpanID(), "twice the same is one")
	require.False(t, spans[1].Parent().IsValid())
	require.Len(t, spans[1].Links(), 2)
	require.Equal(t, set[1].SpanContext().TraceID(), spans[1].Links()[1].SpanContext.TraceID())
	require.Len(t, spans[2].Links(), 128)
}

func TestTogetherIsFreeWhenOff(t *testing.T) { //nolint:paralleltest // It counts what is allocated.
	ctx := context.Background()
	set := make([]trace.Span, 500)
	for i := range set {
		set[i] = trace.SpanFromContext(ctx)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, span := tracing.Together(ctx, "store payments", set, itself)
		span.End()
	}))
}

func TestWanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want bool
		says string
	}{
		{map[string]string{}, false, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, true, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/x"}, true, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, false, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		{map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, "zipkin"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, "grpc"},
	} {
		got, err := tracing.Wanted(func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		require.Equal(t, c.want, got, c.env)
		if c.says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.says)
		}
	}
}
