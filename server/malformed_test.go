package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/server"
)

const secretValue = "123-45-6789" // a value that no answer and no log may repeat

func TestMalformedRequests(t *testing.T) {
	t.Parallel()

	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del(name)
			if value != "" {
				r.Header.Set(name, value)
			}
		}
	}
	const path = "/v1/loans/1/payments"
	with := func(member string) string { return strings.TrimSuffix(goodBody, "}") + "," + member + "}" }
	amount := func(number string) string { return strings.Replace(goodBody, "100", number, 1) }
	received := func(on string) string { return strings.Replace(goodBody, "2026-01-31", on, 1) }

	tests := map[string]struct {
		method, target, body string
		edit                 func(*http.Request)
		status               int
		code, place          string // place: /pointer, ?parameter or Header:
	}{
		"a good request is accepted": {status: http.StatusAccepted},
		"quoted and bare charset":    {edit: header("Content-Type", `application/json; charset="UTF-8"`), status: 202},

		"duplicate member":           {body: with(`"amount_cents":1`), status: 400, code: "malformed", place: "/amount_cents"},
		"unknown member":             {body: with(`"ssn":"` + secretValue + `"`), status: 422, code: "invalid", place: "/ssn"},
		"unknown member in an item":  {body: with(`"lines":[{"ref":"a","amount_cents":1,"x":1}]`), status: 422, code: "invalid", place: "/lines/0/x"},
		"unknown name with a dot":    {body: with(`"a.b[0]":1`), status: 422, code: "invalid", place: "/a.b[0]"},
		"unknown name with a slash":  {body: with(`"a/b~c":1`), status: 422, code: "invalid", place: "/a~1b~0c"},
		"long unknown name":          {body: with(`"` + strings.Repeat("x", 5000) + `":1`), status: 422, code: "invalid", place: "/"},
		"wrong case":                 {body: strings.Replace(goodBody, "amount_cents", "Amount_Cents", 1), status: 422, code: "invalid", place: "/amount_cents"},
		"a second case variant":      {body: with(`"AMOUNT_CENTS":-5`), status: 422, code: "invalid", place: "/AMOUNT_CENTS"},
		"null for a required member": {body: amount("null"), status: 422, code: "invalid", place: "/amount_cents"},
		"null for an optional one":   {body: with(`"memo":null`), status: 422, code: "invalid", place: "/memo"},
		"null for the body":          {body: "null", status: 422, code: "invalid", place: "/"},
		"missing member":             {body: `{}`, status: 422, code: "invalid", place: "/amount_cents"},
		"fraction":                   {body: amount("1.5"), status: 422, code: "invalid", place: "/amount_cents"},
		"whole number with a point":  {body: amount("100.0"), status: 422, code: "invalid", place: "/amount_cents"},
		"exponent":                   {body: amount("1e2"), status: 422, code: "invalid", place: "/amount_cents"},
		"1e15":                       {body: amount("1e15"), status: 422, code: "invalid", place: "/amount_cents"},
		"10^15":                      {body: amount("1000000000000000"), status: 422, code: "invalid", place: "/amount_cents"},
		"10^30":                      {body: amount("1" + strings.Repeat("0", 30)), status: 422, code: "invalid", place: "/amount_cents"},
		"one cent too much":          {body: amount("10000000001"), status: 422, code: "invalid", place: "/amount_cents"},
		"zero":                       {body: amount("0"), status: 422, code: "invalid", place: "/amount_cents"},
		"negative":                   {body: amount("-1"), status: 422, code: "invalid", place: "/amount_cents"},
		"number as text":             {body: amount(`"100"`), status: 422, code: "invalid", place: "/amount_cents"},
		"NaN":                        {body: amount("NaN"), status: 400, code: "malformed", place: "/amount_cents"},
		"leading zero":               {body: amount("0100"), status: 400, code: "malformed", place: "/"},
		"year 0":                     {body: received("0000-01-01"), status: 422, code: "invalid", place: "/received_on"},
		"year 10000":                 {body: received("10000-01-01"), status: 422, code: "invalid", place: "/received_on"},
		"infinity":                   {body: received("infinity"), status: 422, code: "invalid", place: "/received_on"},
		"day that is not":            {body: received("2026-02-30"), status: 422, code: "invalid", place: "/received_on"},
		"day with a time":            {body: received("2026-01-31T00:00:00Z"), status: 422, code: "invalid", place: "/received_on"},
		"value not in the list":      {body: strings.Replace(goodBody, "ach", secretValue, 1), status: 422, code: "invalid", place: "/channel"},
		"text too long":              {body: with(`"memo":"` + strings.Repeat(secretValue, 9) + `"`), status: 422, code: "invalid", place: "/memo"},
		"NUL in text":                {body: with(`"memo":"a\u0000b"`), status: 422, code: "invalid", place: "/memo"},
		"not a boolean":              {body: with(`"early":1`), status: 422, code: "invalid", place: "/early"},
		"bad value in an item":       {body: with(`"lines":[{"ref":"a","amount_cents":1},{"ref":"","amount_cents":1}]`), status: 422, code: "invalid", place: "/lines/1/ref"},
		"too many items":             {body: with(`"lines":[{},{},{}]`), status: 422, code: "invalid", place: "/lines"},
		"object for an array":        {body: with(`"lines":{}`), status: 422, code: "invalid", place: "/lines"},
		"array for the body":         {body: `[]`, status: 422, code: "invalid", place: "/"},
		"text for the body":          {body: `"` + secretValue + `"`, status: 422, code: "invalid", place: "/"},
		"trailing garbage":           {body: goodBody + "x", status: 400, code: "malformed", place: "/"},
		"a second value":             {body: goodBody + goodBody, status: 400, code: "malformed", place: "/"},
		"cut off":                    {body: goodBody[:40], status: 400, code: "malformed", place: "/received_on"},
		"not JSON":                   {body: secretValue, status: 400, code: "malformed", place: "/"},
		"single quotes":              {body: `{'amount_cents':1}`, status: 400, code: "malformed", place: "/"},
		"byte order mark":            {body: "\ufeff" + goodBody, status: 400, code: "malformed", place: "/"},
		"only blanks":                {body: "  ", status: 400, code: "malformed", place: "/"},
		"invalid UTF-8":              {body: with("\"memo\":\"\xff\""), status: 400, code: "malformed"},
		"half a surrogate pair":      {body: with(`"memo":"\ud800"`), status: 400, code: "malformed", place: "/memo"},
		"deep nesting":               {body: with(`"memo":` + strings.Repeat("[", 20_000)), status: 400, code: "malformed"},
		"deep but closed nesting":    {body: with(`"memo":` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000)), status: 422, code: "invalid", place: "/memo"},
		"1 MiB":                      {body: with(`"memo":"` + strings.Repeat("x", 1<<20) + `"`), status: 413, code: "too-large"},
		"1 MiB of unknown length": {
			body: with(`"memo":"` + strings.Repeat("x", 1<<20) + `"`),
			edit: func(r *http.Request) { r.ContentLength = -1 }, status: 413, code: "too-large",
		},
		"no body": {
			edit:   func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 },
			status: 400, code: "malformed", place: "/",
		},
		"no content type":      {edit: header("Content-Type", ""), status: 415, code: "media-type", place: "Content-Type:"},
		"text/plain":           {edit: header("Content-Type", "text/plain"), status: 415, code: "media-type", place: "Content-Type:"},
		"vendor JSON":          {edit: header("Content-Type", "application/x+json"), status: 415, code: "media-type", place: "Content-Type:"},
		"garbage content type": {edit: header("Content-Type", ";;"), status: 415, code: "media-type", place: "Content-Type:"},
		"UTF-16":               {edit: header("Content-Type", "application/json; charset=utf-16"), status: 415, code: "media-type", place: "Content-Type:"},
		"compressed":           {edit: header("Content-Encoding", "gzip"), status: 415, code: "media-type", place: "Content-Encoding:"},
		"two content types": {
			edit:   func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") },
			status: 400, code: "malformed", place: "Content-Type:",
		},

		"unknown query parameter":       {target: path + "?foo=" + secretValue, status: 400, code: "malformed", place: "?foo"},
		"query parameter twice":         {target: path + "?count=1&count=2", status: 400, code: "malformed"},
		"query parameter in wrong case": {target: path + "?Count=1", status: 400, code: "malformed", place: "?Count"},
		"parameter out of range":        {target: path + "?count=13", status: 422, code: "invalid", place: "?count"},
		"parameter not a number":        {target: path + "?count=" + secretValue, status: 422, code: "invalid", place: "?count"},
		"parameter not a UUID":          {target: path + "?after=" + secretValue, status: 422, code: "invalid", place: "?after"},
		"NUL in the query":              {target: path + "?after=%00", status: 400, code: "malformed"},
		"invalid UTF-8 in the query":    {target: path + "?after=%ff", status: 400, code: "malformed"},
		"bad escape in the query":       {target: path + "?after=%zz", status: 400, code: "malformed"},
		"path parameter not a number":   {target: "/v1/loans/" + secretValue + "/payments", status: 422, code: "invalid", place: "?loan_id"},
		"path parameter out of range":   {target: "/v1/loans/0/payments", status: 422, code: "invalid", place: "?loan_id"},
		"path parameter beyond 64 bits": {target: "/v1/loans/99999999999999999999/payments", status: 422, code: "invalid", place: "?loan_id"},
		"idempotency key missing":       {edit: header("Idempotency-Key", ""), status: 400, code: "key-missing", place: "Idempotency-Key:"},
		"idempotency key too long":      {edit: header("Idempotency-Key", strings.Repeat("k", 301)), status: 400, code: "malformed", place: "Idempotency-Key:"},
		"two idempotency keys": {
			edit:   func(r *http.Request) { r.Header.Add("Idempotency-Key", "k-2") },
			status: 400, code: "malformed", place: "Idempotency-Key:",
		},

		"wrong method":             {method: http.MethodDelete, status: 405, code: "method-not-allowed"},
		"method that is no method": {method: "BREW", status: 405, code: "method-not-allowed"},
		"unknown path":             {target: "/v1/nothing", status: 404, code: "not-found"},
		"trailing slash":           {target: path + "/", status: 404, code: "not-found"},
	}
	f := setup(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			method, target, body := tt.method, tt.target, tt.body
			if method == "" {
				method = http.MethodPost
			}
			if target == "" {
				target = path
			}
			if body == "" {
				body = goodBody
			}
			w := f.do(method, target, body, tt.edit)
			require.Equal(t, tt.status, w.Code, w.Body.String())
			require.NotContains(t, w.Body.String(), secretValue)
			require.NotContains(t, f.log.String(), secretValue)
			require.Less(t, w.Body.Len(), 4096)
			if tt.code == "" {
				return
			}
			p := f.problem(t, w)
			t.Log(w.Body.String())
			require.Equal(t, tt.code, p.Code)
			if tt.place == "" {
				return
			}
			require.Contains(t, places(p), tt.place)
		})
	}
}

// places lists where a problem's faults are, as /pointer, ?parameter or Header:.
func places(p server.Problem) []string {
	list := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		switch {
		case e.Pointer != nil && *e.Pointer == "":
			list[i] = "/"
		case e.Pointer != nil:
			list[i] = *e.Pointer
		case e.Parameter != "":
			list[i] = "?" + e.Parameter
		case e.Header != "":
			list[i] = e.Header + ":"
		}
	}
	return list
}

// Whatever the body, the answer is one of a few, and what passes the check can
// be decoded.
func FuzzBody(f *testing.F) {
	f.Add(goodBody)
	f.Add(strings.Replace(goodBody, "100", "-0", 1))
	f.Add(strings.Replace(goodBody, "100", "1E0", 1))
	f.Add(strings.Replace(goodBody, `"ach"`, `"ach","early":true,"lines":[{"ref":"a","amount_cents":1}]`, 1))
	f.Add(`{"amount_cents":{}}`)
	f.Add("[]")
	fix := setup(f)
	f.Fuzz(func(t *testing.T, body string) {
		fix.judged = fixtureJudge.judge.Handler(t, fix.Server.Handler())
		w := fix.do(http.MethodPost, "/v1/loans/1/payments", body, nil)
		switch w.Code {
		case http.StatusAccepted, http.StatusBadRequest, http.StatusRequestEntityTooLarge,
			http.StatusUnprocessableEntity:
		default:
			t.Errorf("%q is answered %d: %s", body, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), server.Unreadable) {
			t.Errorf("%q passed the check and cannot be decoded", body)
		}
	})
}
