package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
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

func poolGauge(name, help string, value func() float64) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "loanserve_database_connections_" + name, Help: help,
	}, value)
}
