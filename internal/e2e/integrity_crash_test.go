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

	"loanserve/internal/database"
	"loanserve/internal/pastloans"
	"loanserve/internal/testdb"
)

// testIntegrityCrash kills workers while a check of all loans runs, in which one is
// damaged, and looks that each loan is counted once and the damage found.
func testIntegrityCrash(t *testing.T, p *program) {
	t.Helper()
	const payments = 12
	loans, kills := testdb.Scale(1500, 4000), testdb.Scale(3, 5)
	conn, err := pgx.Connect(t.Context(), p.db.URL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	require.NoError(t, database.RegisterTypes(t.Context(), conn))
	first, _, err := pastloans.Store(t.Context(), conn, loans, payments)
	require.NoError(t, err)
	damaged := first + int64(loans/2)
	_, err = p.db.Super.Exec(t.Context(), `UPDATE loans SET suspense_cents = 1 WHERE id = $1`, damaged)
	require.NoError(t, err)

	p.makeToken("integrity:run", "integrity:read", "runs:read")
	serve := p.start("serve", "--workers", "0")
	asked := p.mustRequest(serve, http.StatusAccepted, http.MethodPost, "/v1/integrity-checks", `{"full":true}`,
		"Idempotency-Key", "check")
	run := asked.field(t, "run_id")
	const chunks = `SELECT count(*) FROM run_chunks WHERE finished_at IS NOT NULL AND run_id = '%s'`
	random := rand.New(rand.NewPCG(20260101, uint64(kills)))
	for kill := range kills {
		worker := p.start("work")
		goal := random.IntN(2) + p.count(fmt.Sprintf(chunks, run))
		for deadline := time.Now().Add(patience); p.count(fmt.Sprintf(chunks, run)) < goal && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		worker.signal(syscall.SIGKILL)
		t.Logf("kill %d: %d chunks done", kill+1, p.count(fmt.Sprintf(chunks, run)))
	}
	p.start("work")
	require.Eventually(t, func() bool {
		return p.count(`SELECT count(*) FROM runs WHERE finished_at IS NOT NULL AND id = '`+run+`'`) == 1
	}, patience, 50*time.Millisecond)

	var total, done, changed, failed, checked int
	err = p.db.Super.QueryRow(t.Context(), `SELECT total, done, changed, failed_count, c.loans
FROM runs r JOIN integrity_checks c ON c.run_id = r.id WHERE r.id = $1`, run).
		Scan(&total, &done, &changed, &failed, &checked)
	require.NoError(t, err)
	require.Equal(t, []int{loans, loans, 1, 0, loans}, []int{total, done, changed, failed, checked})
	require.Equal(t, 1, p.count(fmt.Sprintf(
		`SELECT count(DISTINCT loan_id) FROM integrity_findings WHERE resolved_at IS NULL AND loan_id = %d`, damaged)))
	require.Zero(t, p.count(fmt.Sprintf(
		`SELECT count(*) FROM integrity_findings WHERE loan_id <> %d`, damaged)))
}
