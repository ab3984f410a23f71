package ops_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// mostPages bounds a walk through the pages.
const mostPages = 400

// walk follows all links of the pages from the first one on, and returns where it
// came to, with what is there.
func walk(t *testing.T, b *browser) map[string]string {
	t.Helper()

	pages := map[string]string{}
	left := []string{"/ops/"}
	for len(left) > 0 {
		path := left[0]
		left = left[1:]
		if _, seen := pages[path]; seen {
			continue
		}
		require.Less(t, len(pages), mostPages, "there is no end of pages")
		status, body := b.get(t, path)
		require.Equal(t, http.StatusOK, status, path)
		pages[path] = body
		for _, link := range links(t, body) {
			if strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "/ops/assets/") && link != "/ops/jobs" {
				left = append(left, link)
			}
		}
	}
	return pages
}

func links(t *testing.T, body string) []string {
	t.Helper()

	root, err := html.Parse(strings.NewReader(body))
	require.NoError(t, err)
	var found []string
	for node := range root.Descendants() {
		if node.Data == "a" && attribute(node, "href") != "" {
			found = append(found, attribute(node, "href"))
		}
	}
	return found
}

// everything stores one of everything that pages show.
func (s *site) everything(t *testing.T) {
	t.Helper()

	db := s.db.App
	loan := testdb.Loan(t, db, func(p *queries.InsertLoanParams) { p.Name = `<script>alert("x")</script>` })
	testdb.Borrower(t, db, loan, queries.BorrowerRolePrimary)
	testdb.EscrowLine(t, db, loan)
	testdb.Document(t, db, loan)
	payment := testdb.Payment(t, db, loan)
	testdb.PaymentBatch(t, db, payment)
	testdb.Reversal(t, db, testdb.Payment(t, db, loan))
	testdb.LoanChange(t, db, loan)
	testdb.Integrity(t, db, testdb.Run(t, db), loan)
	testdb.Backup(t, db)
}

// Whatever role somebody has, each link that he is shown leads to a page that he may
// see, which is whole, and in which nothing that is stored is taken for markup.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()

	s := setup(t)
	s.everything(t)
	for _, role := range []string{"viewer", "operator", "approver", "auditor", "admin"} {
		pages := walk(t, s.user(t, role, role))
		t.Logf("%s: %d pages", role, len(pages))
		require.Greater(t, len(pages), 4, role)
		for path, body := range pages {
			if strings.HasPrefix(path, "/v1/") {
				continue
			}
			require.NotContains(t, body, `<script>alert`, path)
			require.Contains(t, body, `<main id="main"`, path)
			requireStrict(t, path, body)
		}
	}
}

// requireStrict asserts that a page can be shown under its policy, and read without
// eyes: no inline script or style, one title, each field with a label.
func requireStrict(t *testing.T, path, body string) {
	t.Helper()

	root, err := html.Parse(strings.NewReader(body))
	require.NoError(t, err)
	titles := 0
	var ids, labeled, fields []string
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		require.Empty(t, attribute(node, "style"), path)
		require.NotEqual(t, "style", node.Data, path)
		for _, a := range node.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on"), "%s: %s", path, a.Key)
		}
		if id := attribute(node, "id"); id != "" {
			ids = append(ids, id)
		}
		switch node.Data {
		case "script":
			require.NotEmpty(t, attribute(node, "src"), path)
		case "h1":
			titles++
		case "label":
			labeled = append(labeled, attribute(node, "for"))
		case "input", "select", "textarea":
			if kind := attribute(node, "type"); kind != "hidden" && kind != "checkbox" {
				fields = append(fields, attribute(node, "id"))
			}
		}
	}
	require.Equal(t, 1, titles, path)
	slices.Sort(ids)
	require.Equal(t, ids, slices.Compact(slices.Clone(ids)), "%s: an id is there twice", path)
	for _, field := range fields {
		require.Contains(t, labeled, field, path)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()

	s := setup(t)
	b := s.browser(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/ops/login", nil)
	require.NoError(t, err)
	status, header, body := b.send(t, r)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self';")
	require.NotContains(t, header.Get("Content-Security-Policy"), "unsafe")
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Equal(t, "same-origin", header.Get("Referrer-Policy"))
	require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	requireStrict(t, "/ops/login", body)

	root, err := html.Parse(strings.NewReader(body))
	require.NoError(t, err)
	files := 0
	for node := range root.Descendants() {
		file := attribute(node, "src") + attribute(node, "href")
		if !strings.HasPrefix(file, "/ops/assets/") {
			continue
		}
		files++
		status, body := b.get(t, file)
		require.Equal(t, http.StatusOK, status, file)
		require.NotEmpty(t, body, file)
	}
	require.Equal(t, 6, files)
	status, _ = b.get(t, "/ops/assets/../ops.go")
	require.NotEqual(t, http.StatusOK, status)
}
