package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testHostile sends what a payment may not be. Each answer is a problem that
// names the place, and nothing is stored.
func testHostile(t *testing.T, p *program) {
	t.Helper()
	p.makeToken("loans:read", "loans:write", "payments:write")
	serve := p.start("serve", "--workers", "0")
	path := p.board(serve, "HOST-1") + "/payments"

	const good = `"amount_cents":1000,"received_on":"2026-01-01","channel":"ach","designation":"periodic"`
	with := func(old, replacement string) string { return "{" + strings.Replace(good, old, replacement, 1) + "}" }
	tests := map[string]struct {
		body    string
		headers []string
		pointer string // as it stands in the answer
		status  int    // any 4xx where 0
	}{
		"negative amount":     {body: with("1000", "-1"), pointer: `"/amount_cents"`},
		"zero amount":         {body: with("1000", "0"), pointer: `"/amount_cents"`},
		"fractional amount":   {body: with("1000", "10.5"), pointer: `"/amount_cents"`},
		"huge amount":         {body: with("1000", "1000000000000000"), pointer: `"/amount_cents"`},
		"amount past 64 bits": {body: with("1000", "1"+strings.Repeat("0", 30)), pointer: `"/amount_cents"`},
		"amount as text":      {body: with("1000", `"1000"`), pointer: `"/amount_cents"`},
		"amount of null":      {body: with("1000", `null`), pointer: `"/amount_cents"`},
		"year zero":           {body: with("2026-01-01", "0000-01-01"), pointer: `"/received_on"`},
		"far future":          {body: with("2026-01-01", "9999-12-31"), pointer: `"/received_on"`},
		"no such day":         {body: with("2026-01-01", "2026-02-30"), pointer: `"/received_on"`},
		"unknown channel":     {body: with("ach", "pigeon"), pointer: `"/channel"`},
		"unknown field":       {body: "{" + good + `,"memo":"x"}`, pointer: `"/memo"`},
		"doubled field":       {body: "{" + good + `,"amount_cents":1}`, pointer: `"/amount_cents"`},
		"wrong case":          {body: with("amount_cents", "Amount_Cents"), pointer: `"/Amount_Cents"`},
		"missing field":       {body: with(`"amount_cents":1000,`, ""), pointer: `"/amount_cents"`},
		"an array":            {body: "[]", pointer: `""`},
		"cut off":             {body: "{" + good, pointer: `"`},
		"text after the end":  {body: "{" + good + "} {}", pointer: `"`},
		"not UTF-8":           {body: with("ach", "a\xff")},
		"deep nesting":        {body: strings.Repeat("[", 20000), pointer: `"`},
		"one MiB":             {body: "{" + good + strings.Repeat(" ", 1<<20) + "}", pointer: `""`, status: 413},
		"plain text":          {body: "{" + good + "}", headers: []string{"Content-Type", "text/plain"}, status: 415},
		"no media type":       {body: "{" + good + "}", headers: []string{"Content-Type", ""}, status: 415},
		"no token":            {body: "{" + good + "}", headers: []string{"Authorization", ""}, status: 401},
		"key of 10 KiB":       {body: "{" + good + "}", headers: []string{"Idempotency-Key", strings.Repeat("k", 10240)}},
	}
	for name, tt := range tests {
		headers := append([]string{"Idempotency-Key", name}, tt.headers...)
		a, err := p.request(serve, http.MethodPost, path, tt.body, headers...)
		require.NoError(t, err, name)
		require.Truef(t, a.status >= 400 && a.status < 500, "%s: %d %s", name, a.status, a.body)
		if tt.status != 0 {
			require.Equal(t, tt.status, a.status, name)
		}
		require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), name)
		if tt.pointer != "" {
			require.Contains(t, a.body, `"pointer":`+tt.pointer, name)
		}
	}

	var payments, jobs int
	err := p.db.Super.QueryRow(t.Context(),
		"SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM river.river_job)").Scan(&payments, &jobs)
	require.NoError(t, err)
	require.Zero(t, payments, "stored payments")
	require.Zero(t, jobs, "enqueued jobs")
}
