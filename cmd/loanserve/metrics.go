package main

import (
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"loanserve/jobs"
	"loanserve/queries"
)

// newRegistry returns a registry with the metrics of the process itself: the
// Go runtime, the version, and the pool of database connections.
func newRegistry(pool *pgxpool.Pool) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "loanserve_build_info",
			Help:        "Always 1; the label says which version runs.",
			ConstLabels: prometheus.Labels{"version": programVersion()},
		}, func() float64 { return 1 }),
		poolGauge("acquired", "Database connections in use.",
			func() float64 { return float64(pool.Stat().AcquiredConns()) }),
		poolGauge("open", "Database connections in the pool, in use or idle.",
			func() float64 { return float64(pool.Stat().TotalConns()) }),
		poolGauge("limit", "The most database connections the pool may have.",
			func() float64 { return float64(pool.Stat().MaxConns()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "loanserve_database_connection_waits_total",
			Help: "Times that work had to wait for a database connection to become free.",
		}, func() float64 { return float64(pool.Stat().EmptyAcquireCount()) }),
	)
	return registry
}

// databaseCollectors show what is in the database: whichever process is asked, the
// figures are the same.
func databaseCollectors(db queries.DBTX, log *slog.Logger) []prometheus.Collector {
	return []prometheus.Collector{
		jobs.NewQueueCollector(db, log), jobs.NewWaitingCollector(db, log), jobs.NewActivityCollector(db, log),
		jobs.NewEscrowCollector(db, log), jobs.NewStatementCollector(db, log),
		jobs.NewSchemaCollector(db, log), jobs.NewIntegrityCollector(db, log),
		jobs.NewBackupCollector(db, log), jobs.NewWALCollector(db, log),
		jobs.NewWebhookCollector(db, log),
	}
}

// driftGauge says for as long as the process runs that it should not have started.
func driftGauge(drifted bool) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "loanserve_schema_drift_allowed",
		Help: "1 in a process that was started with --allow-drift on a schema that had drifted, and 0 otherwise.",
	})
	if drifted {
		g.Set(1)
	}
	return g
}

func poolGauge(name, help string, value func() float64) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "loanserve_database_connections_" + name, Help: help,
	}, value)
}
