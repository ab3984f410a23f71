// Package tracing sends spans to a collector, by OpenTelemetry.
//
// Inside: when that is on, how spans are exported, what a statement's span says, and
// how work is told of that was done for several at once. Not inside: where spans begin
// and end, which is where requests are served and jobs are worked.
//
// The idea to hold: it is off unless a standard variable names a collector, and then
// nothing is made for it. A span holds ids and names of the program's own, and never
// what a request, a row or an error says.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Name is what the spans' instrumentation is called.
const Name = "loanserve"

// stopTimeout bounds what is done at the end to send what is left: a collector that
// does not answer does not hold the process up.
const stopTimeout = 3 * time.Second

// Wanted says whether the standard variables turn tracing on: one of them names a
// collector, and none turns it off.
//
// It returns an error where they ask for what this program does not have.
func Wanted(env func(name string) (string, bool)) (bool, error) {
	get := func(name string) string { value, _ := env(name); return value }
	if get("OTEL_SDK_DISABLED") == "true" {
		return false, nil
	}
	switch exporter := get("OTEL_TRACES_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		return false, nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER: there is otlp, and none; not %q", exporter)
	}
	if get("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return false, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := get(name); protocol != "" && protocol != "http/protobuf" {
			return false, fmt.Errorf("%s: there is http/protobuf; not %q", name, protocol)
		}
	}
	return true, nil
}

// Exporter sends spans until it is stopped.
type Exporter struct {
	provider *sdktrace.TracerProvider
}

// Start returns an exporter that is set up by the standard variables of the process. It
// connects when there is something to send. A collector that cannot be reached costs
// the spans, and a line in the log each minute.
func Start(ctx context.Context, version string, log *slog.Logger) (*Exporter, error) {
	client, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("exporter of spans: %w", err)
	}
	of, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", Name), attribute.String("service.version", version)),
		resource.WithFromEnv(), // What the operator calls it wins.
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(&complaints{log: log, last: atomic.Int64{}})
	return &Exporter{provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(client), sdktrace.WithResource(of))}, nil
}

// Provider makes tracers.
func (e *Exporter) Provider() trace.TracerProvider { return e.provider }

// Stop sends what is left, and gives up after a few seconds.
func (e *Exporter) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := e.provider.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // Spans are lost, and no money.
	}
	return err
}

// complaints logs what goes wrong with spans, at most once a minute.
type complaints struct {
	log  *slog.Logger
	last atomic.Int64 // in seconds since 1970
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	const pause = 60
	now, last := time.Now().Unix(), c.last.Load()
	if now-last >= pause && c.last.CompareAndSwap(last, now) {
		c.log.Warn("spans are lost", slog.Any("error", err))
	}
}
