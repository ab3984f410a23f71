package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// testEscrowCrash kills the worker without warning while it analyzes the escrow
// accounts of a portfolio: loans of three chunks, and in the long tests of ten. Each loan
// gets exactly one analysis.
func testEscrowCrash(t *testing.T, p *program) {
	t.Helper()
	loans, kills := testdb.Scale(1050, 5000), testdb.Scale(3, 8)
	p.boardEscrowed(loans)
	p.makeToken("escrow:analyze", "runs:read")
	serve := p.start("serve", "--workers", "0")
	const body = `{"as_of_on":"2026-10-31"}`
	run := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, "/v1/escrow-analyses", body,
		"Idempotency-Key", "crash").header.Get("Location")

	// The moments are seeded; what they hit is the machine's to decide.
	random := rand.New(rand.NewPCG(20261031, uint64(kills)))
	inTheMiddle := 0
	for kill := range kills {
		worker := p.start("work")
		goal := p.analyzed() + 1 // The first chunk that commits, or a little later.
		for p.analyzed() < goal && p.openChunks() > 0 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		worker.signal(syscall.SIGKILL)
		done := p.analyzed()
		if done > 0 && done < loans {
			inTheMiddle++
		}
		t.Logf("kill %d: %d of %d loans analyzed", kill+1, done, loans)
	}
	require.Positive(t, inTheMiddle, "kills in the middle of the run")

	p.start("work")
	require.Eventually(t, func() bool {
		return p.mustRequest(serve, http.StatusOK, http.MethodGet, run, "").field(t, "status") == "finished"
	}, patience, 50*time.Millisecond)
	over := p.mustRequest(serve, http.StatusOK, http.MethodGet, run, "")
	want := fmt.Sprint(loans)
	require.Equal(t, []string{want, want, want, "0"}, []string{
		over.field(t, "total"), over.field(t, "done"), over.field(t, "changed"), over.field(t, "failed_count"),
	})
	requireOneAnalysisEach := func() {
		for name, wrong := range map[string]string{
			"loans without exactly one analysis": `SELECT count(*) FROM loans l
				WHERE (SELECT count(*) FROM escrow_analyses a WHERE a.loan_id = l.id) <> 1`,
			"analyses that are not finished": `SELECT count(*) FROM escrow_analyses WHERE status <> 'finished'`,
			"analyses without their months": `SELECT count(*) FROM escrow_analyses a
				WHERE (SELECT count(*) FROM escrow_analysis_months m WHERE m.analysis_id = a.id) <> 12`,
			"loans without their new payment": `SELECT count(*) FROM loans l
				WHERE (SELECT count(*) FROM loan_changes c WHERE c.loan_id = l.id AND c.status = 'posted') <> 2
				OR l.escrow_year_starts_on <> '2026-11-01'`,
		} {
			require.Zero(t, p.count(wrong), name)
		}
		p.requireSoundBooks()
	}
	requireOneAnalysisEach()

	again := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, "/v1/escrow-analyses", body,
		"Idempotency-Key", "again").header.Get("Location")
	over = p.mustRequest(serve, http.StatusOK, http.MethodGet, again, "", "Prefer", "wait=30")
	require.Equal(t, []string{"finished", "0"}, []string{over.field(t, "status"), over.field(t, "total")})
	requireOneAnalysisEach()
}

// boardEscrowed boards loans whose computation year ends with October 2026, and which
// then lack a little in escrow.
func (p *program) boardEscrowed(loans int) {
	p.t.Helper()
	err := pgx.BeginFunc(p.t.Context(), p.db.App, func(tx pgx.Tx) error {
		for range loans {
			loan := testdb.Loan(p.t, tx, func(a *queries.InsertLoanParams) { a.NextDueOn = testdb.Date("2026-11-01") })
			testdb.EscrowLine(p.t, tx, loan, func(a *queries.InsertEscrowLineParams) { a.NextDueOn = testdb.Date("2026-12-01") })
		}
		_, err := tx.Exec(p.t.Context(),
			"SET LOCAL loanserve.max_rows = '10000'; UPDATE loans SET escrow_year_starts_on = '2025-11-01'")
		return err
	})
	require.NoError(p.t, err)
}

func (p *program) analyzed() int { return p.count("SELECT count(*) FROM escrow_analyses") }

func (p *program) openChunks() int {
	return p.count(`SELECT (SELECT count(*) FROM runs WHERE started_at IS NULL)
  + (SELECT count(*) FROM run_chunks WHERE finished_at IS NULL)`)
}
