package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// sendACH submits a NACHA file under a key.
func (l *live) sendACH(key string, file fmt.Stringer) *httptest.ResponseRecorder {
	return l.send("format=nacha", key, strings.NewReader(file.String()))
}

// finished waits until nothing of a batch waits, and returns it.
func (l *live) finished(t *testing.T, where string) map[string]any {
	t.Helper()
	got := answer(t, l.call(http.MethodGet, where, "", "Prefer", "wait=30"), 200)
	require.Equal(t, "finished", got["status"], got)
	return got
}

// item returns the item of a batch on the line.
func (l *live) item(t *testing.T, where string, line int) map[string]any {
	t.Helper()
	page := answer(t, l.call(http.MethodGet, where+"/items?limit=100", ""), 200)
	for _, shown := range page["data"].([]any) {
		if item := shown.(map[string]any); int(item["line"].(float64)) == line {
			return item
		}
	}
	require.FailNow(t, "no such item", "line %d of %v", line, page)
	return nil
}

// paid returns the payment of a loan by its trace number.
func (l *live) paid(t *testing.T, trace int) queries.Payment {
	t.Helper()
	var id uuid.UUID
	require.NoError(t, l.db.Super.QueryRow(t.Context(),
		`SELECT id FROM payments WHERE starts_with(external_ref, $1) ORDER BY received_on DESC LIMIT 1`,
		testdb.ACHTrace(trace)+"/").Scan(&id))
	payment, err := l.q.GetPayment(t.Context(), id)
	require.NoError(t, err)
	return payment
}

const countReversals = `SELECT count(*) FROM payment_reversals`

// requireReturnsTie checks what each return has become against its payment.
func requireReturnsTie(t *testing.T, l *live) {
	t.Helper()
	requireSoundBooks(t, l)
	require.Zero(t, l.count(t, `
		SELECT count(*) FROM payment_batch_items i
		JOIN payments p ON p.id = i.returned_payment_id
		LEFT JOIN payment_reversals r ON r.id = i.reversal_id
		WHERE (i.status = 'reversed') <> coalesce(r.status = 'posted', false)
		  OR i.status = 'reversed' AND (p.status, r.payment_id, p.amount_cents, r.reason)
		    IS DISTINCT FROM ('reversed', p.id, i.amount_cents, i.return_code)`))
	require.Zero(t, l.count(t, `
		SELECT count(*) FROM (
			SELECT FROM payment_reversals WHERE status = 'posted' GROUP BY payment_id HAVING count(*) > 1) r`))
}

// The files of the manual: what was debited comes back.
func TestReturnsReverseTheirPayments(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	var before []queries.Loan
	for _, number := range []string{"1000000001", "1000000002", "1000000004"} {
		before = append(before, boardNumber(t, l, number))
	}
	files := goodFiles(t)
	w := l.send("format=nacha", "debits", strings.NewReader(files[debits].text))
	answer(t, w, http.StatusAccepted)
	l.finished(t, w.Header().Get("Location"))

	w = l.send("format=nacha", "returns", strings.NewReader(files[returns].text))
	answer(t, w, http.StatusAccepted)
	got := l.finished(t, w.Header().Get("Location"))
	require.Equal(t, map[string]int{"reversed": 2}, counts(t, got))
	require.InDelta(t, 2084_56, got["counts"].(map[string]any)["reversed"].(map[string]any)["total_cents"], 0)
	item := l.item(t, w.Header().Get("Location"), 5)
	require.Equal(t, "R10", item["return_code"])
	require.Equal(t, "123456780000001", item["original_trace"])
	require.InDelta(t, before[0].ID, item["loan_id"], 0)
	reversal := answer(t, l.call(http.MethodGet, "/v1/payment-reversals/"+item["reversal_id"].(string), ""), 200)
	require.Equal(t, "posted", reversal["status"])
	require.Equal(t, "R10", reversal["reason"])
	require.Equal(t, item["payment_id"], reversal["payment_id"])
	require.Equal(t, "2026-01-20", reversal["returned_on"])

	// The same file again, and the same returns in another file.
	refused(t, l.send("format=nacha", "again", strings.NewReader(files[returns].text)), http.StatusConflict, "conflict")
	renamed := strings.Replace(files[returns].text, "0600A094", "0600B094", 1)
	require.NotEqual(t, files[returns].text, renamed)
	w = l.send("format=nacha", "renamed", strings.NewReader(renamed))
	answer(t, w, http.StatusAccepted)
	got = l.finished(t, w.Header().Get("Location"))
	require.Equal(t, map[string]int{"exception": 2}, counts(t, got))
	require.Equal(t, "already_reversed", l.item(t, w.Header().Get("Location"), 3)["reason"])

	require.Equal(t, 2, l.count(t, countReversals))
	for _, loan := range before[:2] {
		after, err := l.q.GetLoan(t.Context(), loan.ID)
		require.NoError(t, err)
		require.Equal(t, loan.PrincipalCents, after.PrincipalCents)
		require.Equal(t, loan.EscrowCents, after.EscrowCents)
		require.Equal(t, loan.SuspenseCents, after.SuspenseCents)
		require.Equal(t, loan.NextDueOn, after.NextDueOn)
	}
	requireReturnsTie(t, l)
}

// What comes back before it is posted, in the same file or behind an earlier one
// that waits, is posted and then reversed; two returns of it reverse it once.
func TestReturnsOfPaymentsThatWait(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	boardNumber(t, l, "A-1")
	boardNumber(t, l, "A-2")
	earlier := testdb.ACH{CreatedOn: "2026-01-14", DebitedOn: "2026-01-14", Debits: []testdb.ACHEntry{
		{Trace: 1, Loan: "A-1", Cents: 100_00}, {Trace: 2, Loan: "A-2", Cents: 200_00},
	}}
	together := testdb.ACH{
		CreatedOn: "2026-01-20", DebitedOn: "2026-01-15",
		Debits: []testdb.ACHEntry{{Trace: 3, Loan: "A-1", Cents: 300_00}, {Trace: 4, Loan: "A-2", Cents: 400_00}},
		Returns: []testdb.ACHEntry{
			{Trace: 11, Loan: "A-1", Cents: 100_00, Code: "R01", Original: 1},
			{Trace: 12, Loan: "A-1", Cents: 300_00, Code: "R08", Original: 3},
			{Trace: 13, Loan: "A-1", Cents: 300_00, Code: "R08", Original: 3},
		},
	}
	var where []string
	for key, file := range []testdb.ACH{earlier, together} {
		w := l.sendACH(fmt.Sprint(key), file)
		answer(t, w, http.StatusAccepted)
		where = append(where, w.Header().Get("Location"))
	}
	renamed := together
	renamed.Debits, renamed.Modifier = nil, 'B'
	w := l.sendACH("renamed", renamed)
	answer(t, w, http.StatusAccepted)
	where = append(where, w.Header().Get("Location"))
	require.Equal(t, map[string]int{"stored": 5}, counts(t, answer(t, l.call(http.MethodGet, where[1], ""), 200)))
	require.Zero(t, l.count(t, countReversals), "there is nothing yet to reverse")

	l.work(t)
	require.Equal(t, map[string]int{"posted": 2}, counts(t, l.finished(t, where[0])))
	// Which of the files came first with a return is chance; both together have each once.
	sum := map[string]int{}
	for _, batch := range where[1:] {
		for status, n := range counts(t, l.finished(t, batch)) {
			sum[status] += n
		}
	}
	require.Equal(t, map[string]int{"posted": 2, "reversed": 2, "exception": 4}, sum)
	require.Equal(t, 4, l.count(t, `SELECT count(*) FROM payment_batch_items WHERE reason = 'already_reversed'`))
	require.Equal(t, 2, l.count(t, countReversals))
	require.Equal(t, 2, l.count(t, `SELECT count(*) FROM payments WHERE status = 'posted'`))
	require.Equal(t, 600_00, l.count(t, `SELECT sum(cash_cents) FROM transactions WHERE kind <> 'boarding'`))
	requireReturnsTie(t, l)
}

// A return is an exception unless it is certain which payment it means.
func TestReturnsThatAreNotCertain(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	boardNumber(t, l, "A-1")
	boardNumber(t, l, "A-2")
	archived := boardNumber(t, l, "A-3")
	post := func(key, day string, debits ...testdb.ACHEntry) {
		t.Helper()
		w := l.sendACH(key, testdb.ACH{CreatedOn: day, DebitedOn: day, Debits: debits})
		answer(t, w, http.StatusAccepted)
		l.finished(t, w.Header().Get("Location"))
	}
	post("dec", "2026-01-05", testdb.ACHEntry{Trace: 1, Loan: "A-1", Cents: 100_00},
		testdb.ACHEntry{Trace: 2, Loan: "A-1", Cents: 200_00})
	post("jan", "2026-01-10", testdb.ACHEntry{Trace: 1, Loan: "A-1", Cents: 100_00},
		testdb.ACHEntry{Trace: 2, Loan: "A-1", Cents: 201_00})
	post("feb", "2026-01-15", testdb.ACHEntry{Trace: 3, Loan: "A-1", Cents: 300_00},
		testdb.ACHEntry{Trace: 4, Loan: "A-3", Cents: 400_00})
	_, err := l.db.Super.Exec(t.Context(), `UPDATE loans SET status = 'archived' WHERE id = $1`, archived.ID)
	require.NoError(t, err)
	post("rejected", "2026-01-16", testdb.ACHEntry{Trace: 5, Loan: "A-3", Cents: 500_00})

	returns := testdb.ACH{CreatedOn: "2026-01-14", Returns: []testdb.ACHEntry{
		{Trace: 21, Loan: "A-1", Cents: 100_00, Code: "R01", Original: 1},
		{Trace: 22, Loan: "A-1", Cents: 200_00, Code: "R10", Original: 2},
		{Trace: 23, Loan: "A-1", Cents: 300_00, Code: "R01", Original: 3},
	}}
	later := testdb.ACH{CreatedOn: "2026-01-20", Returns: []testdb.ACHEntry{
		{Trace: 31, Loan: "A-1", Cents: 100_00, Code: "R10", Original: 1},
		{Trace: 32, Loan: "A-1", Cents: 100_00, Code: "R02", Original: 1},
		{Trace: 33, Loan: "A-1", Cents: 299_99, Code: "R01", Original: 3},
		{Trace: 34, Loan: "A-2", Cents: 300_00, Code: "R01", Original: 3},
		{Trace: 35, Loan: "A-1", Cents: 300_00, Code: "R01", Original: 33},
		{Trace: 36, Loan: "A-9", Cents: 300_00, Code: "R01", Original: 3},
		{Trace: 37, Loan: "A-3", Cents: 400_00, Code: "R01", Original: 4},
		{Trace: 38, Loan: "A-3", Cents: 500_00, Code: "R01", Original: 5},
	}}
	for _, f := range []struct {
		file testdb.ACH
		want []string // status of each return, or the reason why it is an exception
	}{
		{returns, []string{"reversed", "reversed", "unknown_payment"}},
		{later, []string{
			"ambiguous_payment", "already_reversed", "amount_differs", "unknown_payment", "unknown_payment", "unknown_loan",
			"loan_archived", "payment_rejected",
		}},
	} {
		w := l.sendACH(f.file.CreatedOn, f.file)
		answer(t, w, http.StatusAccepted)
		l.finished(t, w.Header().Get("Location"))
		requireItems(t, l, w.Header().Get("Location"), f.want)
	}
	// The newest of January's two came back, and of the other trace the one with the amount.
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM payments WHERE status = 'reversed' AND amount_cents = 10000
		AND received_on = '2026-01-10'`))
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM payments WHERE status = 'reversed' AND amount_cents = 20000`))
	require.Equal(t, 2, l.count(t, countReversals))
	requireReturnsTie(t, l)
}

// requireItems checks what became of the returns of a file, which stand on every
// second line: a status, or the reason of an exception.
func requireItems(t *testing.T, l *live, where string, want []string) {
	t.Helper()
	var got []string
	for i := range want {
		item := l.item(t, where, 3+2*i)
		if reason, ok := item["reason"].(string); ok {
			require.Equal(t, "exception", item["status"])
			got = append(got, reason)
			continue
		}
		got = append(got, item["status"].(string))
	}
	require.Equal(t, want, got)
}

// A payment that somebody else is having reversed is not reversed by its return
// as well, nor the other way around.
func TestReturnsBesideReversals(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	boardNumber(t, l, "A-1")
	w := l.sendACH("d", testdb.ACH{CreatedOn: "2026-01-15", DebitedOn: "2026-01-15", Debits: []testdb.ACHEntry{
		{Trace: 1, Loan: "A-1", Cents: 100_00}, {Trace: 2, Loan: "A-1", Cents: 200_00},
	}})
	answer(t, w, http.StatusAccepted)
	l.work(t)
	l.finished(t, w.Header().Get("Location"))
	by := func(p queries.Payment, key string) *httptest.ResponseRecorder {
		path := "/v1/payments/" + p.ID.String() + "/reversals"
		return l.call(http.MethodPost, path, `{"reason":"stop"}`, "Idempotency-Key", key)
	}
	answer(t, by(l.paid(t, 1), "by-hand"), http.StatusAccepted)
	w = l.sendACH("r", testdb.ACH{CreatedOn: "2026-01-20", Returns: []testdb.ACHEntry{
		{Trace: 11, Loan: "A-1", Cents: 100_00, Code: "R01", Original: 1},
		{Trace: 12, Loan: "A-1", Cents: 200_00, Code: "R01", Original: 2},
	}})
	answer(t, w, http.StatusAccepted)
	refused(t, by(l.paid(t, 2), "late"), http.StatusConflict, "conflict")
	require.Equal(t, map[string]int{"reversed": 1, "exception": 1}, counts(t, l.finished(t, w.Header().Get("Location"))))
	require.Equal(t, "already_reversed", l.item(t, w.Header().Get("Location"), 3)["reason"])
	require.Equal(t, 2, l.count(t, countReversals))
	requireReturnsTie(t, l)
}

// Whoever meets an exception finds its paragraph in docs/problems.md.
func TestExceptionsAreExplained(t *testing.T) {
	t.Parallel()

	page, err := os.ReadFile("../docs/problems.md")
	require.NoError(t, err)
	found := 0
	for path, pattern := range map[string]string{
		"payment_batch_lines.go":     `exception\w+ += "(\w+)"`,
		"payment_batch_returns.go":   `exception\w+ += "(\w+)"`,
		"../jobs/reverse_returns.go": `refusal\w+ += "(\w+)"`,
		"../jobs/posting.go":         `reasonLoanArchived += "(\w+)"`,
	} {
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, reason := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1) {
			found++
			require.Contains(t, string(page), "\n## "+reason[1]+"\n", path)
		}
	}
	require.Equal(t, 8, found)
}
