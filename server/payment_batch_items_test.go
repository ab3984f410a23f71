package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/jobs"
	"loanserve/queries"
)

// A file is taken once, under whatever key and name it comes.
func TestSameFileIsTakenOnce(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	boardNumber(t, l, "A-1")
	lines := "A-1,10.00,2026-01-15,check,periodic,r-1\n"
	first := l.sendCSV("k-1", 1, 1000, lines)
	answer(t, first, http.StatusAccepted)

	again := l.sendCSV("k-2", 1, 1000, lines)
	refused(t, again, http.StatusConflict, "conflict")
	require.Equal(t, first.Header().Get("Location"), again.Header().Get("Location"))
	refused(t, l.sendCSV("k-1", 1, 2000, strings.Replace(lines, "10.00", "20.00", 1)), 422, "key-reused")

	codes := make(chan int)
	for i := range 4 { // At the same moment: one is first.
		go func() {
			codes <- l.sendCSV(fmt.Sprintf("r-%d", i), 1, 500, "A-1,5.00,2026-01-15,check,periodic,r-2\n").Code
		}()
	}
	var got []int
	for range 4 {
		got = append(got, <-codes)
	}
	require.Contains(t, got, http.StatusAccepted)
	require.Equal(t, 2, l.count(t, `SELECT count(*) FROM payment_batches`), got)
	require.Equal(t, 2, l.count(t, countPayments))
}

// The same payments in another file are not posted again.
func TestSameItemsInAnotherFileAreDuplicates(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := boardNumber(t, l, "A-1")
	other := boardNumber(t, l, "A-2")
	lines := "A-1,10.00,2026-01-15,check,periodic,r-1\nA-1,20.00,2026-01-15,check,periodic,r-2\n"
	answer(t, l.sendCSV("k-1", 2, 3000, lines), http.StatusAccepted)

	// Another order of lines, one new payment, and a reference of another loan.
	w := l.sendCSV("k-2", 3, 6000, "A-1,20.00,2026-01-15,check,periodic,r-2\n"+
		"A-2,10.00,2026-01-15,check,periodic,r-1\nA-1,30.00,2026-01-15,check,periodic,r-3\n")
	answer(t, w, http.StatusAccepted)
	l.work(t)
	where := w.Header().Get("Location")
	got := answer(t, l.call(http.MethodGet, where, "", "Prefer", "wait=20"), 200)
	require.Equal(t, map[string]int{"posted": 2, "exception": 1}, counts(t, got))
	items := answer(t, l.call(http.MethodGet, where+"/items?status=exception", ""), 200)["data"].([]any)
	require.Len(t, items, 1)
	require.Equal(t, "duplicate", items[0].(map[string]any)["reason"])
	require.InDelta(t, loan.ID, items[0].(map[string]any)["loan_id"], 0)
	require.Equal(t, 4, l.count(t, countPayments))

	resolution := where + "/items/2/resolution"
	refused(t, l.call(http.MethodPost, resolution, fmt.Sprintf(`{"action":"assign","loan_id":%d}`, loan.ID)),
		http.StatusConflict, "conflict")
	refused(t, l.call(http.MethodPost, resolution, `{"action":"assign","loan_id":999999}`), 404, "not-found")
	back := answer(t, l.call(http.MethodPost, resolution, `{"action":"return","note":"sent twice"}`), 200)
	require.Equal(t, "returned", back["status"])
	require.Equal(t, back, answer(t, l.call(http.MethodPost, resolution, `{"action":"return","note":"sent twice"}`), 200))
	refused(t, l.call(http.MethodPost, resolution, fmt.Sprintf(`{"action":"assign","loan_id":%d}`, other.ID)),
		http.StatusConflict, "conflict")
	requireSoundBooks(t, l)
}

func TestUnknownLoansAreResolved(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := boardNumber(t, l, "A-1")
	w := l.sendCSV("k-1", 3, 6000, "a-1,10.00,2026-01-15,check,periodic,r-1\n"+
		"A-1x,20.00,2026-01-15,check,periodic,r-2\n0A-1,30.00,2026-01-15,check,principal,r-3\n")
	answer(t, w, http.StatusAccepted)
	where := w.Header().Get("Location")
	got := answer(t, l.call(http.MethodGet, where, ""), 200)
	require.Equal(t, "finished", got["status"], "nothing waits to be posted")
	require.Equal(t, map[string]int{"exception": 3}, counts(t, got))
	require.Zero(t, l.count(t, countPayments), "nothing is guessed")

	page := answer(t, l.call(http.MethodGet, where+"/items?status=exception&limit=2", ""), 200)
	require.Len(t, page["data"], 2)
	rest := answer(t, l.call(http.MethodGet,
		where+"/items?status=exception&limit=2&cursor="+page["next_cursor"].(string), ""), 200)
	require.Len(t, rest["data"], 1)
	require.Equal(t, "unknown_loan", rest["data"].([]any)[0].(map[string]any)["reason"])

	assign := fmt.Sprintf(`{"action":"assign","loan_id":%d,"note":"typing error"}`, loan.ID)
	codes := make(chan int)
	for range 5 { // However often, and at the same time.
		go func() { codes <- l.call(http.MethodPost, where+"/items/4/resolution", assign).Code }()
	}
	for range 5 {
		require.Equal(t, http.StatusOK, <-codes)
	}
	require.Equal(t, 1, l.count(t, countPayments))
	require.Equal(t, "posting", answer(t, l.call(http.MethodGet, where, ""), 200)["status"])
	answer(t, l.call(http.MethodPost, where+"/items/2/resolution", `{"action":"return","note":"nobody's"}`), 200)

	l.work(t)
	got = answer(t, l.call(http.MethodGet, where, "", "Prefer", "wait=20"), 200)
	require.Equal(t, "finished", got["status"])
	require.Equal(t, map[string]int{"posted": 1, "returned": 1, "exception": 1}, counts(t, got))
	posted := answer(t, l.call(http.MethodGet, where+"/items?status=posted", ""), 200)["data"].([]any)[0].(map[string]any)
	require.Equal(t, "0A-1", posted["loan_number"])
	require.Equal(t, "typing error", posted["note"])
	paid := answer(t, l.call(http.MethodGet, "/v1/payments/"+posted["payment_id"].(string), ""), 200)
	require.Equal(t, "principal", paid["designation"])
	require.InDelta(t, loan.ID, paid["loan_id"], 0)
	answer(t, l.call(http.MethodPost, where+"/items/4/resolution", assign), 200)
	refused(t, l.call(http.MethodPost, where+"/items/4/resolution", `{"action":"return","note":"x"}`), 409, "conflict")
	requireSoundBooks(t, l)

	refused(t, l.call(http.MethodPost, where+"/items/3/resolution", `{"action":"assign"}`), 422, "invalid")
	refused(t, l.call(http.MethodPost, where+"/items/3/resolution", `{"action":"return"}`), 422, "invalid")
	refused(t, l.call(http.MethodPost, where+"/items/9/resolution", assign), 404, "not-found")
	nowhere := "/v1/payment-batches/0198f000-0000-7000-8000-000000000000"
	refused(t, l.call(http.MethodGet, nowhere, ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, nowhere+"/items", ""), 404, "not-found")
}

// What a rule refuses is the item's end, with the payment's reason: nobody has
// to resolve it. Every designation of a file is one that a payment may have.
func TestItemsAreRejectedAsPaymentsAre(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	boardNumber(t, l, "A-1")
	var lines strings.Builder
	for i, designation := range []string{"periodic", "principal", "escrow", "late_charge", "payoff"} {
		fmt.Fprintf(&lines, "A-1,10.00,2026-01-15,check,%s,r-%d\n", designation, i)
	}
	w := l.sendCSV("k-1", 5, 5000, lines.String())
	answer(t, w, http.StatusAccepted)
	l.work(t)
	where := w.Header().Get("Location")
	got := answer(t, l.call(http.MethodGet, where, "", "Prefer", "wait=20"), 200)
	require.Equal(t, map[string]int{"posted": 4, "rejected": 1}, counts(t, got))
	short := answer(t, l.call(http.MethodGet, where+"/items?status=rejected", ""), 200)["data"].([]any)[0].(map[string]any)
	require.Equal(t, "payoff_short", short["reason"])
	refused(t, l.call(http.MethodPost, where+"/items/6/resolution", `{"action":"return","note":"x"}`), 409, "conflict")
	requireSoundBooks(t, l)
}

// manyLines makes a file of payments of 10.00, each loan's next to each other or
// far apart.
func manyLines(loans []queries.Loan, each int, apart bool) string {
	var b strings.Builder
	for i := range len(loans) * each {
		loan := loans[i/each]
		if apart {
			loan = loans[i%len(loans)]
		}
		fmt.Fprintf(&b, "%s,10.00,2026-02-%02d,lockbox,periodic,ref-%d\n", loan.LoanNumber, 1+i/each%20, i)
	}
	return b.String()
}

func boardMany(t *testing.T, l *live, n int) []queries.Loan {
	t.Helper()

	loans := make([]queries.Loan, n)
	for i := range loans {
		loans[i] = boardNumber(t, l, fmt.Sprintf("M-%d", i))
	}
	return loans
}

func TestLargeFileIsPosted(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loans := boardMany(t, l, 250)
	w := l.sendCSV("k-1", 5000, 5_000_000, manyLines(loans, 20, false))
	answer(t, w, http.StatusAccepted)
	require.Equal(t, 10, l.count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'post_batch_chunk'`))
	l.work(t)
	got := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=30"), 200)
	require.Equal(t, "finished", got["status"])
	require.Equal(t, map[string]int{"posted": 5000}, counts(t, got))
	require.Equal(t, 5_000_000, l.count(t, `SELECT sum(cash_cents) FROM transactions WHERE kind <> 'boarding'`))
	requireSoundBooks(t, l)
}

// A worker that is stopped in the middle of a file leaves whole chunks, and the
// next one goes on where it was.
func TestWorkerIsStoppedInTheMiddleOfAFile(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loans := boardMany(t, l, 50)
	w := l.sendCSV("k-1", 1500, 1_500_000, manyLines(loans, 30, true))
	answer(t, w, http.StatusAccepted)

	// Somebody holds one payment of the second chunk.
	blocker, err := l.db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), `SELECT FROM payments WHERE external_ref = 'ref-700' FOR UPDATE`)
	require.NoError(t, err)
	worker, err := jobs.NewWorker(l.db.App, jobs.Config{
		ID: "", PaymentWorkers: 4, Metrics: l.metrics, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	require.Eventually(t, func() bool {
		return l.count(t, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
	}, 20*time.Second, 5*time.Millisecond)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, worker.Stop(over))
	require.NoError(t, blocker.Rollback(t.Context()))

	middle := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), ""), 200)
	require.NotEqual(t, "finished", middle["status"])
	require.GreaterOrEqual(t, counts(t, middle)["stored"], 500)
	requireSoundBooks(t, l)

	l.work(t)
	got := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=30"), 200)
	require.Equal(t, map[string]int{"posted": 1500}, counts(t, got))
	require.Equal(t, 1_500_000, l.count(t, `SELECT sum(cash_cents) FROM transactions WHERE kind <> 'boarding'`))
	requireSoundBooks(t, l)
}
