package server_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"loanserve/internal/contract"
	"loanserve/internal/testdb"
	"loanserve/server"
)

// Whatever is asked of whatever operation, no answer is a failure of ours, and
// each is as the contract says. The long tests ask for as long as they may.
func TestContractUnderFire(t *testing.T) {
	t.Parallel()

	const seed, each = 20261128, 4
	z := newBarrage(t)
	rounds, until := each, time.Now().Add(time.Hour)
	if os.Getenv("LOANSERVE_TEST_LONG") != "" {
		rounds, until = 5000, time.Now().Add(time.Minute)
	}
	asked, statuses := 0, map[int]int{}
	for round := 0; round < rounds && time.Now().Before(until); round++ {
		for i := range z.targets {
			statuses[z.fire(t, i, rand.New(rand.NewPCG(seed, uint64(asked))))]++
			asked++
		}
	}
	t.Logf("%d requests of %d operations are answered %v", asked, len(z.targets), statuses)
	require.Positive(t, statuses[http.StatusOK], "nothing got through")
	require.Positive(t, statuses[http.StatusAccepted], "nothing was taken")
	require.Positive(t, statuses[http.StatusCreated], "nothing was made")
}

// FuzzContract asks one operation after the other, as the numbers choose.
func FuzzContract(f *testing.F) {
	for n := range uint64(20) {
		f.Add(n, n)
	}
	z := newBarrage(f)
	f.Fuzz(func(t *testing.T, operation, seed uint64) {
		which := int(operation % uint64(len(z.targets)))
		z.fire(t, which, rand.New(rand.NewPCG(operation, seed)))
	})
}

// barrage is a server with what is fired at it.
type barrage struct {
	*live

	judge   *contract.Judge
	targets []target
	schemas huma.Registry
	seen    []string // ids that answers had
}

type target struct {
	method, path string
	op           *huma.Operation
}

func newBarrage(tb testing.TB) *barrage {
	tb.Helper()

	judge, err := liveJudge()
	require.NoError(tb, err)
	z := &barrage{live: setupLive(tb), judge: judge, targets: nil, schemas: nil, seen: nil}
	for range 2 {
		testdb.Loan(tb, z.db.App)
	}
	api := z.API().OpenAPI()
	z.schemas = api.Components.Schemas
	for path, item := range api.Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
			http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op != nil {
				z.targets = append(z.targets, target{method: method, path: path, op: op})
			}
		}
	}
	slices.SortFunc(z.targets, func(a, b target) int { return strings.Compare(a.op.OperationID, b.op.OperationID) })
	require.NotEmpty(tb, z.targets)
	return z
}

// fire sends one request to a target and checks the answer.
func (z *barrage) fire(t *testing.T, i int, r *rand.Rand) int {
	t.Helper()

	to := z.targets[i]
	g := generator{Rand: r, schemas: z.schemas, seen: z.seen}
	path, body, mediaType := g.pathOf(to), g.bodyOf(to.op), ""
	req := httptest.NewRequest(to.method, "/", bytes.NewReader(body.text)).WithContext(t.Context())
	req.URL, req.RequestURI = path, path.RequestURI()
	if mediaType = body.mediaType; mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	req.Header.Set("Authorization", "Bearer "+z.token)
	g.headersOf(to.op, req.Header)

	w := httptest.NewRecorder()
	z.Server.Handler().ServeHTTP(w, req)
	told := func() string { return to.method + " " + path.RequestURI() + " " + mediaType + " " + clip(body.text) }
	if w.Code >= http.StatusInternalServerError {
		t.Errorf("%s is answered %d: %s", told(), w.Code, w.Body)
	}
	if w.Code >= http.StatusBadRequest && w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s is refused with %q", told(), w.Header().Get("Content-Type"))
	}
	x := contract.Exchange{Request: req, Sent: body.text, Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
	for _, values := range path.Query() {
		if values[0] == "" {
			x.Sent = nil // A parameter without a value counts as left out, which no schema can say.
		}
	}
	if err := z.judge.Check(x); err != nil {
		t.Errorf("%s: %v", told(), err)
	}
	z.learn(t, w)
	return w.Code
}

// learn keeps ids, so that later requests meet what earlier ones have made, and
// gets a new token when a request has revoked ours.
func (z *barrage) learn(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()

	var answered map[string]any
	if w.Code < http.StatusMultipleChoices && json.Unmarshal(w.Body.Bytes(), &answered) == nil {
		for name, value := range answered {
			if text, ok := value.(string); ok && strings.HasSuffix(name, "_id") && len(z.seen) < 500 {
				z.seen = append(z.seen, text)
			}
		}
	}
	if w.Code == http.StatusUnauthorized {
		scopes := make([]string, 0, len(server.Scopes))
		for scope := range server.Scopes {
			scopes = append(scopes, scope)
		}
		z.token = z.newToken(t, scopes...)
	}
}

func clip(text []byte) string {
	return strconv.QuoteToASCII(string(text[:min(len(text), 600)]))
}

// pathOf fills a path, and asks with parameters that are known and some that are not.
func (g generator) pathOf(to target) *url.URL {
	path, query := to.path, url.Values{}
	for _, p := range to.op.Parameters {
		text := g.asText(p.Schema, p.Name)
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(text))
		case p.In == "query" && (p.Required || g.one(3)):
			query.Add(p.Name, text)
			if g.one(40) {
				query.Add(p.Name, text)
			}
		}
	}
	if g.one(25) {
		query.Set(g.oddText(), g.oddText())
	}
	raw := query.Encode()
	if g.one(60) {
		raw += "&%zz=%00"
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		panic(err) // It was escaped a moment ago.
	}
	return &url.URL{Path: decoded, RawPath: path, RawQuery: raw}
}

func (g generator) headersOf(op *huma.Operation, h http.Header) {
	for _, p := range op.Parameters {
		if p.In != "header" || !p.Required && g.one(2) || g.one(30) {
			continue
		}
		text := g.asText(p.Schema, p.Name)
		switch {
		case p.Name == "Prefer":
			text = []string{"wait=0", "wait", "wait=-1", "wait=x", "respond-async, wait=0", "wait=1e99"}[g.IntN(6)]
		case p.Name == "If-Match" && !g.one(4):
			text = `"` + strconv.Itoa(1+g.IntN(3)) + `"`
		}
		h.Set(p.Name, printable(text)) // What else a header has, net/http refuses.
		if g.one(60) {
			h.Add(p.Name, "again")
		}
	}
}

func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, text)
}
