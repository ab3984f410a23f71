package ops_test

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"loanserve/internal/testdb"
	"loanserve/jobs"
	"loanserve/ops"
	"loanserve/queries"
	"loanserve/server"
)

const password = "a long enough password"

// cheap is a cost of passwords that tests can afford.
var cheap = server.PasswordCost{MemoryKiB: 64, Passes: 1, Lanes: 1}

// site is the pages on a database of their own, behind a real listener.
type site struct {
	db  *testdb.DB
	q   *queries.Queries
	url string
	tls *httptest.Server
}

func setup(t *testing.T, edits ...func(*server.Options)) *site {
	t.Helper()

	s := &site{db: testdb.Clone(t)}
	s.q = queries.New(s.db.App)
	log := slog.New(slog.DiscardHandler)
	inserter, err := jobs.NewInserter(s.db.App, jobs.NewMetrics(prometheus.NewRegistry(), log), log)
	require.NoError(t, err)
	o := server.Options{
		DB: s.db.App, Jobs: inserter, Log: log, Registerer: prometheus.NewRegistry(), PasswordCost: cheap,
	}
	for _, edit := range edits {
		edit(&o)
	}
	api, err := server.New(o)
	require.NoError(t, err)
	t.Cleanup(api.Close)
	pages, err := ops.New(ops.Options{API: api.Handler(), Zone: time.UTC})
	require.NoError(t, err)
	api.Mount(ops.Root, pages.Handler())
	s.tls = httptest.NewTLSServer(api.Handler())
	t.Cleanup(s.tls.Close)
	s.url = s.tls.URL
	return s
}

// work works jobs until the test ends.
func (s *site) work(t *testing.T) {
	t.Helper()

	log := slog.New(slog.DiscardHandler)
	worker, err := jobs.NewWorker(s.db.App, jobs.Config{
		PaymentWorkers: 2, Metrics: jobs.NewMetrics(prometheus.NewRegistry(), log), Log: log,
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, worker.Stop(t.Context())) })
}

// browser is somebody's browser, which keeps cookies and follows no redirects.
type browser struct {
	s      *site
	client *http.Client
	from   string // what it says of the site that makes requests
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{s: s, from: "same-origin", client: &http.Client{
		Transport: s.tls.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// user makes somebody with the roles, and logs him in.
func (s *site) user(t *testing.T, name string, roles ...string) *browser {
	t.Helper()

	err := pgx.BeginFunc(t.Context(), s.db.App, func(tx pgx.Tx) error {
		_, err := server.Users{Tx: tx}.Create(t.Context(), server.Operator, queries.InsertUserParams{
			Name: name, FullName: "Person " + name, PasswordHash: server.HashPassword(password),
		}, roles)
		return err
	})
	require.NoError(t, err)
	b := s.browser(t)
	status, header, _ := b.post(t, "/ops/login", url.Values{"name": {name}, "password": {password}})
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/ops/", header.Get("Location"))
	return b
}

func (b *browser) send(t *testing.T, r *http.Request) (int, http.Header, string) {
	t.Helper()

	r.Header.Set("Sec-Fetch-Site", b.from)
	answer, err := b.client.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, answer.Header, string(body)
}

func (b *browser) get(t *testing.T, path string) (int, string) {
	t.Helper()

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.s.url+path, nil)
	require.NoError(t, err)
	status, _, body := b.send(t, r)
	return status, body
}

// page returns a page that there has to be.
func (b *browser) page(t *testing.T, path string) string {
	t.Helper()

	status, body := b.get(t, path)
	require.Equal(t, http.StatusOK, status, path)
	return body
}

func (b *browser) post(t *testing.T, path string, form url.Values) (int, http.Header, string) {
	t.Helper()

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.s.url+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(t, r)
}

// fill returns what a browser would send of the page's form of the action, with the
// fields filled in.
func fill(t *testing.T, page, action string, fields url.Values) url.Values {
	t.Helper()

	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	sent := url.Values{}
	found := false
	for node := range root.Descendants() {
		if node.Data != "form" || attribute(node, "action") != "/ops/do/"+action || found {
			continue
		}
		found = true
		for input := range node.Descendants() {
			if name := attribute(input, "name"); input.Data == "input" && name != "" && attribute(input, "type") != "checkbox" {
				sent.Set(name, attribute(input, "value"))
			}
		}
	}
	require.True(t, found, "there is a form %s", action)
	maps.Copy(sent, fields)
	return sent
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
