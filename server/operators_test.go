package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
	"loanserve/server"
)

// ids returns one field of the items of a list, page by page, each of the size; a list
// that has no pages has the size 0.
func (l *live) ids(t *testing.T, path, field string, size int, filters url.Values) []any {
	t.Helper()

	var found []any
	query := url.Values{}
	if size > 0 {
		query.Set("limit", fmt.Sprint(size))
	}
	maps.Copy(query, filters)
	for pages := 0; ; pages++ {
		require.Less(t, pages, 100, "there is no end of pages")
		list := answer(t, l.call(http.MethodGet, path+"?"+query.Encode(), ""), 200)
		data, _ := list["data"].([]any)
		if size > 0 {
			require.LessOrEqual(t, len(data), size)
		}
		for _, item := range data {
			found = append(found, item.(map[string]any)[field])
		}
		next, more := list["next_cursor"].(string)
		if !more {
			return found
		}
		query.Set("cursor", next)
	}
}

func TestSearchPayments(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	db := l.db.App
	first, second := testdb.Loan(t, db), testdb.Loan(t, db)
	stored := map[string]any{} // by reference
	for i, of := range []struct {
		loan    queries.Loan
		channel queries.PaymentChannel
		on      string
	}{
		{first, queries.PaymentChannelAch, "2026-01-01"},
		{first, queries.PaymentChannelCheck, "2026-01-02"},
		{second, queries.PaymentChannelAch, "2026-01-02"},
		{second, queries.PaymentChannelWire, "2026-01-03"},
	} {
		ref := fmt.Sprintf("ref-%d", i)
		p := testdb.Payment(t, db, of.loan, func(p *queries.InsertPaymentParams) {
			p.Channel, p.ReceivedOn, p.ExternalRef = of.channel, testdb.Date(of.on), &ref
		})
		stored[ref] = p.ID.String()
	}
	l.super(t, `UPDATE payments SET status = 'rejected', reason = 'loan_paid_off' WHERE external_ref = 'ref-0'`)
	l.super(t, `UPDATE payments SET status = 'reversed', reversed_at = now() WHERE external_ref = 'ref-3'`)
	ids := func(refs ...string) []any {
		var of []any
		for _, ref := range refs {
			of = append(of, stored[ref])
		}
		return of
	}
	for name, of := range map[string]struct {
		filters url.Values
		want    []any
	}{
		"all":               {nil, ids("ref-3", "ref-2", "ref-1", "ref-0")},
		"received":          {url.Values{"status": {"received"}}, ids("ref-2", "ref-1")},
		"rejected":          {url.Values{"status": {"rejected"}}, ids("ref-0")},
		"reversed":          {url.Values{"status": {"reversed"}}, ids("ref-3")},
		"of a channel":      {url.Values{"channel": {"ach"}}, ids("ref-2", "ref-0")},
		"rejected, channel": {url.Values{"channel": {"check"}, "status": {"rejected"}}, nil},
		"from":              {url.Values{"received_from": {"2026-01-02"}}, ids("ref-3", "ref-2", "ref-1")},
		"to":                {url.Values{"received_to": {"2026-01-02"}}, ids("ref-2", "ref-1", "ref-0")},
		"on":                {url.Values{"received_from": {"2026-01-02"}, "received_to": {"2026-01-02"}}, ids("ref-2", "ref-1")},
		"of a loan":         {url.Values{"loan_number": {second.LoanNumber}}, ids("ref-3", "ref-2")},
		"of no loan":        {url.Values{"loan_number": {"none"}}, nil},
		"reference":         {url.Values{"external_ref": {"ref-1"}}, ids("ref-1")},
		"another's":         {url.Values{"external_ref": {"ref-1"}, "loan_number": {second.LoanNumber}}, nil},
		"with quotes":       {url.Values{"external_ref": {"' OR '1'='1"}}, nil},
	} {
		for _, size := range []int{1, 2, 200} {
			require.Equal(t, of.want, l.ids(t, "/v1/payments", "payment_id", size, of.filters), "%s, %d", name, size)
		}
	}
	wrong := refused(t, l.call(http.MethodGet, "/v1/payments?status=lost", ""), 422, "invalid")
	require.Equal(t, []string{"?status"}, wrong)
	refused(t, l.call(http.MethodGet, "/v1/payments?cursor=x", ""), 422, "invalid")
	l.token = l.newToken(t, server.ScopeLoansRead)
	refused(t, l.call(http.MethodGet, "/v1/payments", ""), 403, "forbidden")
}

func TestSearchLoans(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := func(number, name, borrower string) any {
		row := testdb.Loan(t, l.db.App, func(p *queries.InsertLoanParams) { p.LoanNumber, p.Name = number, name })
		id := testdb.Borrower(t, l.db.App, row, queries.BorrowerRolePrimary)
		l.super(t, `UPDATE borrowers SET full_name = $2 WHERE id = $1`, id, borrower)
		return number
	}
	a, b := loan("LS-100", "Ångström", "Nell Abernathy"), loan("LS-1000", "50%_off", "Ångström, Per")
	c := loan("XY-1", "abe", "O'Hara")
	for q, want := range map[string][]any{
		"LS-100": {a, b}, "LS-1000": {b}, "ls-100": nil, "ÅNG": {a, b}, "Ab": {c}, "nell a": {a}, "o'h": {c}, "50%": {b},
		"%%": nil, "__": nil, "LS-1000 ": nil,
	} {
		require.Equal(t, want, l.ids(t, "/v1/loans", "loan_number", 1, url.Values{"q": {q}}), q)
	}
	refused(t, l.call(http.MethodGet, "/v1/loans?q=a", ""), 422, "invalid")
	refused(t, l.call(http.MethodGet, "/v1/loans?q=ab&loan_number=x", ""), 422, "invalid")
}

func TestListsOfEverything(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	db := l.db.App
	loan := testdb.Loan(t, db)
	var batches, runs []any
	for range 3 {
		batches = append([]any{testdb.PaymentBatch(t, db, testdb.Payment(t, db, loan)).ID.String()}, batches...)
		runs = append([]any{testdb.Run(t, db).ID.String()}, runs...)
	}
	require.Equal(t, batches, l.ids(t, "/v1/payment-batches", "batch_id", 2, nil))
	require.Empty(t, l.ids(t, "/v1/payment-batches", "batch_id", 2, url.Values{"status": {"finished"}}))
	require.Equal(t, runs, l.ids(t, "/v1/runs", "run_id", 2, url.Values{"kind": {"close_day"}}))
	require.Equal(t, runs, l.ids(t, "/v1/runs", "run_id", 2, url.Values{"status": {"requested"}}))
	require.Empty(t, l.ids(t, "/v1/runs", "run_id", 2, url.Values{"status": {"finished"}}))
	require.Empty(t, l.ids(t, "/v1/runs", "run_id", 2, url.Values{"kind": {"check_schema"}, "status": {"requested"}}))

	document := testdb.Document(t, db, loan)
	path := fmt.Sprintf("/v1/loans/%d/documents", loan.ID)
	list := answer(t, l.call(http.MethodGet, path, ""), 200)["data"].([]any)
	require.Equal(t, document.String(), list[0].(map[string]any)["document_id"])
	require.NotContains(t, list[0], "content")
	refused(t, l.call(http.MethodGet, "/v1/loans/77/documents", ""), 404, "not-found")

	wish := testdb.AnalysisWish(t, db, loan)
	require.Equal(t, []any{wish.ID.String()}, l.ids(t, "/v1/escrow-analyses", "analysis_id", 1, nil))
	require.Equal(t, []any{wish.ID.String()},
		l.ids(t, "/v1/escrow-analyses", "analysis_id", 1, url.Values{"loan_number": {loan.LoanNumber}}))
	require.Empty(t, l.ids(t, "/v1/escrow-analyses", "analysis_id", 1, url.Values{"status": {"finished"}}))
}

func TestTransactionsFromTheNewest(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	got := answer(t, l.call(http.MethodPost, "/v1/loans", boardingBody), 201)
	path := fmt.Sprintf("/v1/loans/%.0f", got["loan_id"])
	w := l.call(http.MethodPost, path+"/payments", paymentBody, "Idempotency-Key", "a")
	answer(t, w, 202)
	answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	up := l.ids(t, path+"/transactions", "seq", 1, nil)
	require.GreaterOrEqual(t, len(up), 2)
	down := l.ids(t, path+"/transactions", "seq", 1, url.Values{"order": {"newest"}})
	require.Len(t, down, len(up))
	for i := range up {
		require.Equal(t, up[i], down[len(down)-1-i])
	}
}

func TestQueuesOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	names := l.ids(t, "/v1/queues", "queue", 0, nil)
	require.Len(t, names, len(jobs.Queues()), "those that nobody has worked yet, too")
	refused(t, l.call(http.MethodPost, "/v1/queues/payments/pause", ""), 404, "not-found")
	l.super(t, `INSERT INTO river.river_queue (name, updated_at) VALUES ('payments', now())`)
	for range 2 {
		got := answer(t, l.call(http.MethodPost, "/v1/queues/payments/pause", ""), 200)
		require.NotEmpty(t, got["paused_at"])
	}
	got := answer(t, l.call(http.MethodPost, "/v1/queues/payments/resume", ""), 200)
	require.NotContains(t, got, "paused_at")
	require.Len(t, l.events(t, "queue_paused"), 2)
	refused(t, l.call(http.MethodPost, "/v1/queues/alarm/pause", ""), 409, "conflict")
	refused(t, l.call(http.MethodPost, "/v1/queues/..%2Fjobs/pause", ""), 422, "invalid")
	l.token = l.newToken(t, server.ScopeJobsRead)
	refused(t, l.call(http.MethodPost, "/v1/queues/payments/pause", ""), 403, "forbidden")
}

func TestJobsOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	insert := func(state, finalized string) (id int64) {
		require.NoError(t, l.db.Super.QueryRow(t.Context(), `
			INSERT INTO river.river_job (state, kind, queue, args, max_attempts, attempt, finalized_at, errors)
			VALUES ($1::text::river.river_job_state, 'close_day', 'cycle', '{"secret":"Nell"}', 3, 3, `+finalized+`,
				ARRAY['{"error":"it was away\nat line 7"}'::jsonb])
			RETURNING id`, state).Scan(&id))
		return id
	}
	discarded, waiting := insert("discarded", "now()"), insert("available", "NULL")
	require.Equal(t, []any{float64(discarded)}, l.ids(t, "/v1/jobs", "job_id", 1, nil))
	require.Equal(t, []any{float64(waiting)},
		l.ids(t, "/v1/jobs", "job_id", 1, url.Values{"state": {"available"}, "kind": {"close_day"}, "queue": {"cycle"}}))
	require.Empty(t, l.ids(t, "/v1/jobs", "job_id", 1, url.Values{"kind": {"back_up_database"}}))

	path := fmt.Sprintf("/v1/jobs/%d", discarded)
	w := l.call(http.MethodGet, path, "")
	require.Equal(t, "it was away", answer(t, w, 200)["last_error"])
	require.NotContains(t, w.Body.String(), "Nell", "what a job is about is nobody's business")
	require.Equal(t, "available", answer(t, l.call(http.MethodPost, path+"/retry", ""), 200)["state"])
	refused(t, l.call(http.MethodPost, path+"/retry", ""), 409, "conflict")
	require.Equal(t, "cancelled", answer(t, l.call(http.MethodPost, path+"/cancel", ""), 200)["state"])
	refused(t, l.call(http.MethodPost, path+"/cancel", ""), 409, "conflict")
	require.Len(t, l.events(t, "job_retried"), 1)
	require.Len(t, l.events(t, "job_canceled"), 1)
	refused(t, l.call(http.MethodGet, "/v1/jobs/99999", ""), 404, "not-found")
	refused(t, l.call(http.MethodPost, "/v1/jobs/99999/retry", ""), 404, "not-found")
	l.token = l.newToken(t, server.ScopeJobsRead)
	refused(t, l.call(http.MethodPost, path+"/retry", ""), 403, "forbidden")
}

func TestVerifyABackupAgain(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	stored := testdb.Backup(t, l.db.App)
	path := "/v1/backups/" + stored.ID.String() + "/verifications"
	refused(t, l.call(http.MethodPost, path, ""), 409, "conflict")
	l.super(t, `UPDATE backups SET status = 'stored', store_name = 'n', size_bytes = 7, started_at = now(),
		stored_at = now()`)
	refused(t, l.call(http.MethodPost, path, ""), 409, "conflict") // Nobody would do it.
	l.super(t, `INSERT INTO river.river_queue (name, updated_at) VALUES ($1, now())`, jobs.QueueOps)
	for range 2 {
		w := l.call(http.MethodPost, path, "")
		answer(t, w, http.StatusAccepted)
		require.Equal(t, "/v1/backups/"+stored.ID.String(), w.Header().Get("Location"))
	}
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'verify_backup'`))
}

func TestUserSessionsOverHTTP(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	user := l.user(t, "pat", "viewer")
	token := l.logIn(t, "pat", goodPassword)
	me := answer(t, l.as(token).call(http.MethodGet, "/v1/sessions/current", ""), 200)
	require.Equal(t, "pat", me["name"])
	require.Contains(t, me["scopes"], "loans:read")
	require.NotContains(t, me["scopes"], "loans:write")
	refused(t, l.call(http.MethodGet, "/v1/sessions/current", ""), 403, "forbidden") // A token has no session.

	path := fmt.Sprintf("/v1/users/%d/sessions", user.ID)
	open := l.ids(t, path, "session_id", 0, nil)
	require.Equal(t, []any{me["session_id"]}, open)
	one := fmt.Sprintf("%s/%.0f", path, open[0])
	refused(t, l.as(token).call(http.MethodDelete, one, ""), 403, "forbidden")
	require.Equal(t, http.StatusNoContent, l.call(http.MethodDelete, one, "").Code)
	refused(t, l.call(http.MethodDelete, one, ""), 404, "not-found")
	refused(t, l.as(token).call(http.MethodGet, "/v1/loans", ""), 401, "unauthenticated")
	refused(t, l.call(http.MethodGet, "/v1/users/77/sessions", ""), 404, "not-found")
	require.Len(t, l.events(t, "session_ended"), 1)
	require.Len(t, l.ids(t, "/v1/auth-events", "event_id", 1, url.Values{"kind": {"session_ended"}}), 1)
}

func TestOperationsAtAGlance(t *testing.T) {
	t.Parallel()

	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	l := setupLive(t, func(o *server.Options) { o.TimeZone = zone })
	db := l.db.App
	loan := testdb.Loan(t, db, func(p *queries.InsertLoanParams) { p.SuspenseCents = 0 })
	testdb.Payment(t, db, loan, func(p *queries.InsertPaymentParams) { p.AmountCents = 1_00 })
	testdb.Payment(t, db, loan, func(p *queries.InsertPaymentParams) { p.AmountCents = 2_00 })
	l.super(t, `UPDATE payments SET status = 'rejected', reason = 'loan_paid_off' WHERE amount_cents = 200`)
	testdb.Integrity(t, db, testdb.Run(t, db), loan)

	got := answer(t, l.call(http.MethodGet, "/v1/operations", ""), 200)
	today := got["today"].(map[string]any)
	require.Equal(t, []any{2.0, 300.0, 0.0, 1.0},
		[]any{today["payments"], today["amount_cents"], today["posted"], today["rejected"]})
	require.InDelta(t, 1, got["received"].(map[string]any)["payments"], 0)
	require.Len(t, got["queues"], len(jobs.Queues()))
	require.Len(t, got["backups"], 2)
	require.NotContains(t, got, "wal")
	require.NotEmpty(t, got["runs"])
	whole := got["portfolio"].(map[string]any)
	require.InDelta(t, 0, whole["suspense_cents"], 0)
	require.NotContains(t, whole, "longest_held")
	days := whole["payments_by_day"].([]any)
	require.Len(t, days, 1)
	require.Equal(t, today["day_on"], days[0].(map[string]any)["day_on"])

	// Who looks again within ten seconds is shown the same.
	testdb.Payment(t, db, loan)
	again := answer(t, l.call(http.MethodGet, "/v1/operations", ""), 200)
	require.Equal(t, got["as_of"], again["as_of"])
	l.token = l.newToken(t, server.ScopeRunsRead)
	refused(t, l.call(http.MethodGet, "/v1/operations", ""), 403, "forbidden")
}
