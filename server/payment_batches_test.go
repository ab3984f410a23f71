package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/server"
)

const csvHeader = "loan_number,amount,received_on,channel,designation,external_ref\n"

// send submits a file.
func (l *live) send(query, key string, file io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/payment-batches?"+query, file)
	r.Header.Set("Authorization", "Bearer "+l.token)
	r.Header.Set("Content-Type", "text/csv")
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, r)
	return w
}

// sendCSV submits a CSV file with its controls.
func (l *live) sendCSV(key string, items, cents int, lines string) *httptest.ResponseRecorder {
	return l.send(fmt.Sprintf("format=csv&items=%d&total_cents=%d", items, cents), key, strings.NewReader(csvHeader+lines))
}

// boardNumber boards a loan of the number, before the days of the sample files.
func boardNumber(t *testing.T, l *live, number string) queries.Loan {
	t.Helper()

	return testdb.Loan(t, l.db.App, func(p *queries.InsertLoanParams) {
		p.LoanNumber, p.BoardedAt = number, time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	})
}

// counts returns how many items of a batch are in each status.
func counts(t *testing.T, batch map[string]any) map[string]int {
	t.Helper()

	n := map[string]int{}
	sum := 0
	for status, of := range batch["counts"].(map[string]any) {
		if items := int(of.(map[string]any)["items"].(float64)); items > 0 {
			n[status] = items
			sum += items
		}
	}
	require.InDelta(t, batch["items"], sum, 0)
	return n
}

func requireSoundBooks(t *testing.T, l *live) {
	t.Helper()

	require.Zero(t, l.count(t, `SELECT count(*) FROM broken_seals`))
	require.Zero(t, l.count(t, `SELECT count(*) FROM unreconciled_loans`))
	require.Zero(t, l.count(t, `SELECT sum(balance_cents) FROM trial_balance`))
	require.Zero(t, l.count(t, `
		SELECT count(*) FROM payment_batch_items i LEFT JOIN payments p ON p.id = i.payment_id
		WHERE (i.status IN ('stored', 'posted', 'rejected')) <> (p.id IS NOT NULL)
		  OR p.id IS NOT NULL AND (p.loan_id, p.amount_cents, p.received_on, p.channel, p.designation, p.external_ref)
		    IS DISTINCT FROM (i.loan_id, i.amount_cents, i.received_on, i.channel, i.designation, i.external_ref)`))
}

// nothingStored proves that a refused file left nothing.
func nothingStored(t *testing.T, l *live) {
	t.Helper()

	for _, table := range []string{"payment_batches", "payment_batch_items", "payments", "river.river_job"} {
		require.Zero(t, l.count(t, "SELECT count(*) FROM "+table), table)
	}
}

func TestFilesOfEachFormatArePosted(t *testing.T) {
	t.Parallel()

	for name, file := range map[string]struct {
		path, query string
		items       int
		loans       []string
	}{
		"csv": {
			"payments.csv", "format=csv&items=3&total_cents=208457", 3,
			[]string{"1000000001", "1000000002", "10,0003"},
		},
		"lockbox": {
			"lockbox.bai", "format=bai_lockbox", 4,
			[]string{"1000000001", "SERVICER-A/POOL-2019/1000000002", "1000000003"},
		},
		"debits": {
			"debits.ach", "format=nacha&items=3&total_cents=210000", 3,
			[]string{"1000000001", "1000000002", "1000000004"},
		},
		"credits": {"credits.ach", "format=nacha", 2, []string{"1000000001", "1000000005"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			l := setupLive(t)
			for _, number := range file.loans {
				boardNumber(t, l, number)
			}
			body, err := os.ReadFile("../internal/remittance/testdata/" + file.path)
			require.NoError(t, err)
			w := l.send(file.query, "f-1", strings.NewReader(string(body)))
			accepted := answer(t, w, http.StatusAccepted)
			require.Equal(t, "received", accepted["status"])
			require.Equal(t, "/v1/payment-batches/"+accepted["batch_id"].(string), w.Header().Get("Location"))

			l.work(t)
			got := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
			require.Equal(t, "finished", got["status"])
			require.Equal(t, map[string]int{"posted": file.items}, counts(t, got))
			require.Equal(t, file.items, l.count(t, `SELECT count(*) FROM payments WHERE status = 'posted'`))
			requireSoundBooks(t, l)

			again := l.send(file.query, "f-1", strings.NewReader(string(body)))
			require.Equal(t, w.Body.String(), again.Body.String(), "the first answer, although much has happened since")
			require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		})
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	boardNumber(t, l, "A-1")
	good := "A-1,10.00,2026-01-15,check,periodic,r-1\n"
	later := time.Now().AddDate(0, 0, 3).Format(time.DateOnly)
	for name, bad := range map[string]struct {
		w    *httptest.ResponseRecorder
		line float64
		want string
	}{
		"an amount":     {l.sendCSV("k", 1, 1000, "A-1,ten,2026-01-15,check,periodic,r-1\n"), 2, "amount: must be dollars"},
		"the items":     {l.sendCSV("k", 2, 1000, good), 0, "control items"},
		"the total":     {l.sendCSV("k", 1, 1001, good), 0, "control total"},
		"a future day":  {l.sendCSV("k", 1, 1000, strings.Replace(good, "2026-01-15", later, 1)), 2, "after tomorrow"},
		"another shape": {l.send("format=nacha", "k", strings.NewReader(csvHeader+good)), 1, "record"},
	} {
		require.Equal(t, http.StatusUnprocessableEntity, bad.w.Code, "%s: %s", name, bad.w.Body.String())
		var p map[string]any
		require.NoError(t, json.Unmarshal(bad.w.Body.Bytes(), &p))
		first := p["errors"].([]any)[0].(map[string]any)
		line, _ := first["line"].(float64)
		require.InDelta(t, bad.line, line, 0, name)
		require.Contains(t, first["detail"], bad.want, name)
	}

	w := l.sendCSV("k", 1, 1, strings.Repeat("A-1\n", 150))
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	var p server.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Len(t, p.Errors, 100)
	require.Contains(t, p.Detail, "150 faults")
	nothingStored(t, l)

	answer(t, l.sendCSV("k", 1, 1000, good), http.StatusAccepted) // The key is as good as new.
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	body := strings.NewReader(csvHeader)
	refused(t, l.send("format=csv", "k", body), 422, "invalid")
	refused(t, l.send("format=csv&items=1", "k", body), 422, "invalid")
	refused(t, l.send("format=xls&items=1&total_cents=1", "k", body), 422, "invalid")
	refused(t, l.send("format=nacha", "", body), 400, "key-missing")
	asJSON := l.call(http.MethodPost, "/v1/payment-batches?format=nacha", "{}", "Idempotency-Key", "k")
	refused(t, asJSON, 415, "media-type")
	refused(t, l.send("format=nacha", "k", io.LimitReader(failingReader{}, 9)), 400, "malformed")
	r := httptest.NewRequest(http.MethodPost, "/v1/payment-batches?format=nacha", body)
	r.ContentLength = 64<<20 + 1
	r.Header.Set("Authorization", "Bearer "+l.token)
	r.Header.Set("Content-Type", "text/csv")
	r.Header.Set("Idempotency-Key", "k")
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, r)
	refused(t, w, 413, "too-large")
	nothingStored(t, l)
}

// failingReader is a connection that breaks.
type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Over a connection a file may be far larger than other bodies, and its length
// need not be known before.
func TestFileArrivesInPieces(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	srv := httptest.NewServer(l.Handler())
	t.Cleanup(srv.Close)
	body, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, csvHeader)
		for i := 0; err == nil && i < 6000; i++ {
			_, err = fmt.Fprintf(w, "X-%d,10.00,2026-01-15,check,periodic,r-%d\n", i, i)
		}
		w.CloseWithError(err)
	}()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		srv.URL+"/v1/payment-batches?format=csv&items=6000&total_cents=6000000", body)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+l.token)
	r.Header.Set("Content-Type", "application/octet-stream")
	r.Header.Set("Idempotency-Key", "k")
	got, err := srv.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, got.Body.Close())
	require.Equal(t, http.StatusAccepted, got.StatusCode)
	require.Equal(t, 6000, l.count(t, `SELECT count(*) FROM payment_batch_items WHERE status = 'exception'`))
	require.Zero(t, l.count(t, countPayments))
}

// A third file at the same time is sent away, and can come back.
func TestFewFilesAreReadAtOnce(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	done := make(chan int)
	var writers []*io.PipeWriter
	for i := range 2 {
		r, w := io.Pipe()
		go func() { done <- l.send("format=csv&items=1&total_cents=1", fmt.Sprint(i), r).Code }()
		_, err := io.WriteString(w, csvHeader) // Returns when the server reads.
		require.NoError(t, err)
		writers = append(writers, w)
	}
	third := l.sendCSV("3", 1, 1000, "A-1,10.00,2026-01-15,check,periodic,r-1\n")
	refused(t, third, http.StatusServiceUnavailable, "unavailable")
	require.NotEmpty(t, third.Header().Get("Retry-After"))
	for _, w := range writers {
		require.NoError(t, w.Close())
		require.Equal(t, http.StatusUnprocessableEntity, <-done)
	}
	answer(t, l.sendCSV("3", 1, 1000, "A-1,10.00,2026-01-15,check,periodic,r-1\n"), http.StatusAccepted)
}
