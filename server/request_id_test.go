package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"loanserve/internal/requestid"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
	"loanserve/server"
)

// A request's jobs have its id, and so have the jobs that those make: the lines of
// all of them are found by it.
func TestJobsHaveTheirRequestsID(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	path := fmt.Sprintf("/v1/loans/%d/payments", loan.ID)
	paid := answer(t, l.call(http.MethodPost, path, goodBody, "Idempotency-Key", "p", "X-Request-Id", "pay-1"), 202)
	run := answer(t, l.call(http.MethodPost, "/v1/day-closes", closeBody,
		"Idempotency-Key", "c", "X-Request-Id", "close-1"), 202)

	var said lockedBuffer
	log := slog.New(slog.NewJSONHandler(&said, nil))
	worker, err := jobs.NewWorker(l.db.App, jobs.Config{
		PaymentWorkers: 4, Metrics: jobs.NewMetrics(prometheus.NewRegistry(), log), Log: log,
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	runPath := "/v1/runs/" + run["run_id"].(string)
	require.Equal(t, "finished", answer(t, l.call(http.MethodGet, runPath, "", "Prefer", "wait=20"), 200)["status"])
	paymentPath := "/v1/payments/" + paid["payment_id"].(string)
	require.NotEqual(t, "received",
		answer(t, l.call(http.MethodGet, paymentPath, "", "Prefer", "wait=20"), 200)["status"])
	require.NoError(t, worker.Stop(t.Context()))

	for _, line := range []string{
		`"kind":"post_payment",.*"payment_id":"` + paid["payment_id"].(string) + `","request_id":"pay-1"`,
		`"kind":"close_day",.*"request_id":"close-1"`,
		`"kind":"close_day_chunk",.*"request_id":"close-1"`,
	} {
		require.Regexp(t, line, said.String())
	}
	require.Equal(t, 1, strings.Count(said.String(), `"request_id":"pay-1"`))
	require.NotContains(t, said.String(), `"request_id":""`)
	require.Equal(t, 1, l.count(t,
		`SELECT count(*) FROM river.river_job WHERE kind = 'post_payment' AND metadata->>'request_id' = 'pay-1'`))
}

// Payments that are stored together are one job, which is none of the requests' own.
func TestIntakeKnowsTheRequestOfOne(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ids := map[int][]string{} // by how many were stored together
	begun, let := make(chan struct{}, 8), make(chan struct{})
	i := server.NewIntake(func(ctx context.Context, set []queries.InsertPaymentParams) []server.Stored {
		begun <- struct{}{}
		<-let
		mu.Lock()
		defer mu.Unlock()
		ids[len(set)] = append(ids[len(set)], requestid.Of(ctx))
		return make([]server.Stored, len(set))
	})
	var all sync.WaitGroup
	accept := func(id string) {
		all.Go(func() {
			_, err := server.Accept(i, requestid.With(t.Context(), id), queries.InsertPaymentParams{})
			if err != nil {
				t.Error(err)
			}
		})
	}
	var alone []string
	for n := range server.IntakeFlushers {
		alone = append(alone, fmt.Sprint("alone-", n))
		accept(alone[n])
		<-begun
	}
	accept("first")
	accept("second")
	untilWaiting(t, i, 2)
	close(let)
	all.Wait()
	require.ElementsMatch(t, alone, ids[1])
	require.Equal(t, []string{""}, ids[2])
}

// A request's line says what it is about by ids, and says nothing else of its path.
func TestLinesOfRequestsHaveIDs(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	const payment = "01890000-0000-7000-8000-000000000001"
	for path, want := range map[string]string{
		"/v1/loans/4711":                            `"loan_id":4711`,
		"/v1/payments/" + payment:                   `"payment_id":"` + payment + `"`,
		"/v1/loans/Nell%20Abernathy":                "",
		"/v1/loans/-3":                              "",
		"/v1/payments/Nell":                         "",
		"/v1/payments/01890000-Nell-7000-8000-0001": "",
	} {
		before := len(l.log.String())
		l.call(http.MethodGet, path, "")
		line := l.log.String()[before:]
		require.Equal(t, 1, strings.Count(line, `"msg":"request"`), line)
		require.NotContains(t, line, "Nell")
		if want == "" {
			require.NotRegexp(t, `"(loan|payment)_id"`, line)
		} else {
			require.Contains(t, line, want)
		}
	}
}
