package jobs

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"loanserve/internal/webhook"
)

// knownWorkers is who works each kind of job.
type knownWorkers struct {
	workers *river.Workers
	post    *PostPayment
	chunk   *PostPaymentChunk
	takers  []**river.Client[pgx.Tx] // where those that enqueue jobs want the client, which comes after them
	err     error                    // why the first was not registered that was not
}

// newWorkers registers who works each kind of job.
func newWorkers(pool *pgxpool.Pool, c *Config) *knownWorkers {
	k := &knownWorkers{
		workers: river.NewWorkers(),
		post:    &PostPayment{DB: pool, Metrics: c.Metrics},
		chunk:   &PostPaymentChunk{DB: pool, Metrics: c.Metrics},
	}
	k.addPayments(pool, c.Metrics)
	k.addDays(pool, c)
	k.addEscrow(pool, c)
	k.addChecks(pool, c)
	k.addBackups(pool, c)
	delivering := &DeliverWebhook{
		DB: pool, Jobs: nil, Client: webhook.NewClient(c.WebhookNetworks), Metrics: c.Metrics,
	}
	register(k, delivering, &delivering.Jobs)
	register(k, &CleanUpSessions{DB: pool, Metrics: c.Metrics})
	register(k, &PruneLoginAttempts{DB: pool, Metrics: c.Metrics})
	register(k, &CheckSchema{DB: pool, Checker: c.schemaChecker(pool)})
	register(k, &PruneHistory{DB: pool, Metrics: c.Metrics})
	register(k, &PruneWebhookMessages{DB: pool, Metrics: c.Metrics})
	return k
}

func (k *knownWorkers) addPayments(pool *pgxpool.Pool, m *Metrics) {
	register(k, k.post)
	register(k, k.chunk)
	register(k, &ReversePayment{DB: pool})
	register(k, &ChangeLoan{DB: pool})
	register(k, &PostBatchChunk{DB: pool, Metrics: m})
	returns := &ReverseReturns{DB: pool, Jobs: nil, Metrics: m}
	register(k, returns, &returns.Jobs)
}

func (k *knownWorkers) addDays(pool *pgxpool.Pool, c *Config) {
	closing := &CloseDay{DB: pool, Jobs: nil}
	register(k, closing, &closing.Jobs)
	chunk := &CloseDayChunk{DB: pool, Jobs: nil, Metrics: c.Metrics}
	register(k, chunk, &chunk.Jobs)
	scheduling := &ScheduleDayClose{DB: pool, Jobs: nil, Schedule: c.DayCloses}
	register(k, scheduling, &scheduling.Jobs)
}

func (k *knownWorkers) addEscrow(pool *pgxpool.Pool, c *Config) {
	one := &AnalyzeEscrow{DB: pool, Jobs: nil, Metrics: c.Metrics}
	register(k, one, &one.Jobs)
	all := &AnalyzePortfolio{DB: pool, Jobs: nil}
	register(k, all, &all.Jobs)
	chunk := &AnalyzeEscrowChunk{DB: pool, Jobs: nil, Metrics: c.Metrics}
	register(k, chunk, &chunk.Jobs)
	register(k, &MakeEscrowStatement{DB: pool, Servicer: c.Servicer})
	disbursing := &DisburseEscrow{DB: pool, Jobs: nil}
	register(k, disbursing, &disbursing.Jobs)
	register(k, &DisburseEscrowChunk{DB: pool})
	register(k, &ReturnDisbursement{DB: pool})
}

func (k *knownWorkers) addChecks(pool *pgxpool.Pool, c *Config) {
	checking := &CheckIntegrity{DB: pool, Jobs: nil}
	register(k, checking, &checking.Jobs)
	register(k, &CheckIntegrityChunk{DB: pool})
	register(k, &WatchLoans{DB: pool, Metrics: c.Metrics, Log: c.Log})
}

func (k *knownWorkers) addBackups(pool *pgxpool.Pool, c *Config) {
	scheduling := &ScheduleBackups{DB: pool, Jobs: nil, Backups: c.Backups}
	register(k, scheduling, &scheduling.Jobs)
	making := &BackUpDatabase{DB: pool, Jobs: nil, Backups: c.Backups, Metrics: c.Metrics}
	register(k, making, &making.Jobs)
	verifying := &VerifyBackup{DB: pool, Jobs: nil, Backups: c.Backups, Metrics: c.Metrics}
	register(k, verifying, &verifying.Jobs)
	register(k, &PruneBackups{DB: pool, Backups: c.Backups})
}

// register adds a worker, which wants the client where takers says.
func register[T river.JobArgs](k *knownWorkers, w river.Worker[T], takers ...**river.Client[pgx.Tx]) {
	if err := river.AddWorkerSafely(k.workers, w); err != nil && k.err == nil {
		k.err = fmt.Errorf("register worker: %w", err)
	}
	k.takers = append(k.takers, takers...)
}

// give hands the client to the workers that enqueue jobs themselves.
func (k *knownWorkers) give(client *river.Client[pgx.Tx]) {
	for _, taker := range k.takers {
		*taker = client
	}
}
