package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"loanserve/internal/contract"
	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/queries"
	"loanserve/server"
)

// live is the whole server on a database of its own.
type live struct {
	*server.Server
	db      *testdb.DB
	q       *queries.Queries
	log     *lockedBuffer
	token   string // has every scope
	metrics *jobs.Metrics

	registry *prometheus.Registry
	judged   http.Handler
}

// Handler is the way of every request of these tests: what is answered must be as
// the contract says.
func (l *live) Handler() http.Handler { return l.judged }

// liveJudge knows the contract of the whole server.
var liveJudge = sync.OnceValues(func() (*contract.Judge, error) {
	srv, err := server.New(server.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	return contract.New(srv.OpenAPI())
})

// cheap is a cost of passwords that tests can afford by the hundred.
var cheap = server.PasswordCost{MemoryKiB: 64, Passes: 1, Lanes: 1}

func setupLive(t testing.TB, edits ...func(*server.Options)) *live {
	t.Helper()

	l := &live{db: testdb.Clone(t), log: &lockedBuffer{}}
	l.q = queries.New(l.db.App)
	log := slog.New(slog.NewJSONHandler(l.log, nil))
	l.metrics = jobs.NewMetrics(prometheus.NewRegistry(), log)
	l.registry = prometheus.NewRegistry()
	o := server.Options{
		DB: l.db.App, Jobs: l.inserter(t, log), Log: log, Registerer: l.registry, PasswordCost: cheap,
	}
	for _, edit := range edits {
		edit(&o)
	}
	srv, err := server.New(o)
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	l.Server = srv
	judge, err := liveJudge()
	require.NoError(t, err)
	l.judged = judge.Handler(t, srv.Handler())

	scopes := make([]string, 0, len(server.Scopes))
	for scope := range server.Scopes {
		scopes = append(scopes, scope)
	}
	l.token = l.newToken(t, scopes...)
	return l
}

func (l *live) inserter(t testing.TB, log *slog.Logger) *river.Client[pgx.Tx] {
	t.Helper()

	client, err := jobs.NewInserter(l.db.App, l.metrics, log)
	require.NoError(t, err)
	return client
}

func (l *live) newToken(t testing.TB, scopes ...string) string {
	t.Helper()

	secret := server.NewTokenSecret()
	row, err := l.q.InsertAPIToken(t.Context(), queries.InsertAPITokenParams{
		Name: "test", TokenHash: server.HashTokenSecret(secret), Scopes: scopes, ExpiresAt: nil,
	})
	require.NoError(t, err)
	return server.FormatToken(row.ID, secret)
}

// as returns the same server as another principal sees it.
func (l *live) as(token string) *live {
	other := *l
	other.token = token
	return &other
}

// work starts a worker.
func (l *live) work(t *testing.T) {
	t.Helper()
	t.Cleanup(l.workUntilStopped(t))
}

// workUntilStopped starts a worker and returns what stops it.
func (l *live) workUntilStopped(t *testing.T) (stop func()) {
	t.Helper()

	worker, err := jobs.NewWorker(l.db.App, jobs.Config{
		PaymentWorkers: 4, Metrics: l.metrics, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	return func() { require.NoError(t, worker.Stop(t.Context())) }
}

// workHooks starts a worker that may send webhooks to this machine.
func (l *live) workHooks(t *testing.T) {
	t.Helper()

	worker, err := jobs.NewWorker(l.db.App, jobs.Config{
		PaymentWorkers: 4, WebhookNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Metrics: l.metrics, Log: discard(),
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, worker.Stop(context.Background())) })
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// call sends a request with the token; header is pairs of name and value.
func (l *live) call(method, target, body string, header ...string) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	r.Header.Set("Authorization", "Bearer "+l.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, r)
	return w
}

// answer reads a JSON answer of the status.
func answer(t *testing.T, w *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()

	require.Equal(t, status, w.Code, w.Body.String())
	var body map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body), w.Body.String())
	return body
}

// refused reads a problem of the status and code and returns its places.
func refused(t *testing.T, w *httptest.ResponseRecorder, status int, code string) []string {
	t.Helper()

	require.Equal(t, status, w.Code, w.Body.String())
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var p server.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, code, p.Code, w.Body.String())
	return places(p)
}

const boardingBody = `{
  "loan_number": "LS-1", "name": "Abernathy",
  "borrowers": [
    {"full_name": "Nell Abernathy", "role": "primary", "email": "nell@example.com"},
    {"full_name": "Corwin Abernathy", "role": "co_borrower", "phone": "+1-202-555-0101"}
  ],
  "property": {"street": "118 Quarry Lane", "city": "Harlow Falls", "state": "OH", "postal_code": "44098"},
  "originated_on": "2019-05-21", "maturity_on": "2049-06-01", "next_due_on": "2026-02-01",
  "original_principal_cents": 24000000, "principal_cents": 20577551, "rate_ppm": 41250,
  "principal_and_interest_cents": 116316, "escrow_payment_cents": 38585,
  "interest_method": "scheduled_30_360", "application_order": "conventional", "excess_policy": "principal",
  "late_charge": {"grace_days": 15, "rate_ppm": 50000, "minimum_cents": 0},
  "escrow_cents": 174072, "suspense_cents": 5000, "late_charges_due_cents": 2500,
  "escrow_lines": [
    {
      "kind": "county_tax", "payee": "Harlow County", "amount_cents": 172310,
      "every_months": 6, "next_due_on": "2027-01-20"
    }
  ]
}`

// paymentBody is an installment of the sample loan.
const paymentBody = `{"amount_cents":154901,"received_on":"2026-02-01","channel":"ach"}`

// The committed contract is the one that the code makes. Where they differ on
// purpose, "make generate" brings it up to date.
func TestContractIsCommitted(t *testing.T) {
	t.Parallel()

	srv, err := server.New(server.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	committed, err := os.ReadFile("../api/openapi.yaml")
	require.NoError(t, err)
	if !bytes.Equal(committed, srv.OpenAPI()) {
		t.Error("api/openapi.yaml is not the contract that the code makes: run make generate")
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	requireScopes(t, l.API().OpenAPI())
	for path, want := range map[string]string{
		"/v1/loans": "GET, HEAD, POST", "/v1/loans/1": "GET, HEAD", "/v1/loans/1/payments": "GET, HEAD, POST",
		"/v1/loans/1/transactions": "GET, HEAD", "/v1/loans/1/schedule": "GET, HEAD", "/v1/payments/1": "GET, HEAD",
		"/v1/runs": "GET, HEAD", "/v1/day-closes": "POST", "/v1/loans/1/balances": "GET, HEAD",
	} {
		w := l.call(http.MethodDelete, path, "")
		refused(t, w, http.StatusMethodNotAllowed, "method-not-allowed")
		require.Equal(t, want, w.Header().Get("Allow"), path)
	}
}

// Every enumeration in the contract is the database's.
func TestEnumerationsAreTheDatabases(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	schemas := l.API().OpenAPI().Components.Schemas.Map()
	rows, err := l.db.Owner.Query(t.Context(), `
		SELECT t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
		FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
		WHERE t.typnamespace = 'public'::regnamespace GROUP BY t.typname`)
	require.NoError(t, err)
	labels := map[string][]string{}
	var name string
	var values []string
	_, err = pgx.ForEachRow(rows, []any{&name, &values}, func() error {
		labels[name] = values
		return nil
	})
	require.NoError(t, err)

	for _, place := range []struct{ schema, property, enum string }{
		{"Boarding", "interest_method", "interest_method"},
		{"Boarding", "application_order", "application_order"},
		{"Boarding", "excess_policy", "excess_policy"},
		{"Boarding", "rounding", "rounding"},
		{"Borrower", "role", "borrower_role"},
		{"EscrowLine", "kind", "escrow_line_kind"},
		{"Loan", "status", "loan_status"},
		{"Submission", "channel", "payment_channel"},
		{"Submission", "designation", "payment_designation"},
		{"Payment", "status", "payment_status"},
		{"Reversal", "status", "reversal_status"},
		{"PaymentBatch", "format", "payment_file_format"},
		{"PaymentBatch", "status", "payment_batch_status"},
		{"BatchItem", "status", "payment_batch_item_status"},
		{"Run", "kind", "run_kind"},
		{"Run", "status", "run_status"},
		{"EscrowBill", "status", "escrow_bill_status"},
		{"Disbursement", "kind", "escrow_disbursement_kind"},
		{"Disbursement", "status", "escrow_disbursement_status"},
		{"EscrowReturn", "status", "escrow_return_status"},
		{"EscrowStatement", "kind", "escrow_analysis_kind"},
		{"Disclosure", "kind", "escrow_analysis_kind"},
		{"WebhookDelivery", "status", "webhook_delivery_status"},
	} {
		var enum []string
		for _, v := range schemas[place.schema].Properties[place.property].Enum {
			enum = append(enum, v.(string))
		}
		require.Equal(t, labels[place.enum], enum, "%s.%s", place.schema, place.property)
	}
}
