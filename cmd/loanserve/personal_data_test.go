package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/internal/portfolio"
	"loanserve/internal/testdb"
)

// private returns what the demo's loans say of people.
func private(t *testing.T) (all []string) {
	t.Helper()
	for _, loan := range portfolio.Loans() {
		var body struct {
			Borrowers []struct {
				FullName string `json:"full_name"`
				Email    string `json:"email"`
				Phone    string `json:"phone"`
			} `json:"borrowers"`
			Property struct {
				Street string `json:"street"`
			} `json:"property"`
		}
		require.NoError(t, json.Unmarshal(loan.Body, &body))
		require.NotEmpty(t, body.Borrowers)
		require.NotEmpty(t, body.Property.Street)
		all = append(all, body.Property.Street)
		for _, b := range body.Borrowers {
			require.NotEmpty(t, b.FullName)
			all = append(all, b.FullName)
			for _, reached := range []string{b.Email, b.Phone} {
				if reached != "" {
					all = append(all, reached)
				}
			}
		}
	}
	return all
}

const (
	keptPassword, wrongPassword = "correct horse battery", "Tr0ub4dor-and-3"
	payeeAccount                = "88123456701"
)

// sendTo sends a request as a client would that makes mistakes, and expects a status.
func sendTo(t *testing.T, api, token, method, path, key, body string, want int) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, api+path, strings.NewReader(body))
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, want, res.StatusCode, "%s %s: %s", method, path, text)
	return string(text)
}

// refuse sends what the server refuses, with people's data in wrong places.
func refuse(t *testing.T, api, token string, loan int64) {
	t.Helper()
	body := string(portfolio.Loans()[0].Body)
	send := func(method, path, key, body string, want int) {
		t.Helper()
		sendTo(t, api, token, method, path, key, body, want)
	}
	sendTo(t, api, "", "POST", "/v1/sessions", "", fmt.Sprintf(`{"name":"pat","password":%q}`, wrongPassword), 401)
	sendTo(t, api, token+"x", "GET", "/v1/loans", "", "", 401)
	send("POST", "/v1/loans", "k1", body[:len(body)/2], 400) // Not JSON.
	send("POST", "/v1/loans", "k2", strings.Replace(body, `"full_name":`, `"Nell Abernathy":`, 1), 422)
	send("POST", "/v1/loans", "k3", strings.Replace(body, `"role": "primary"`, `"role": "Nell Abernathy"`, 1), 422)
	send("POST", "/v1/loans", "k4", body, 409)                     // The number is taken.
	send("POST", "/v1/loans", portfolio.Loans()[1].Key, body, 422) // As another request.
	send("GET", "/v1/loans/Nell%20Abernathy", "", "", 422)
	send("GET", "/v1/loans?Nell%20Abernathy=nell.abernathy@example.com", "", "", 400)
	send("GET", "/v1/Nell%20Abernathy", "", "", 404)
	send("POST", loanPath(loan)+"/payments", "k5",
		`{"amount_cents":"Nell Abernathy","received_on":"118 Quarry Lane","channel":"+1-202-555-0101"}`, 422)
	send("POST", "/v1/escrow-payees", "",
		fmt.Sprintf(`{"name":"Harlow County Treasurer","routing_number":"1","account_number":%q,"account_kind":"x"}`,
			payeeAccount), 422)
}

// TestLogsHaveNoPersonalData tells the demo's story to a server that logs all it can,
// with requests that it refuses, and looks for the people of the story in its log.
func TestLogsHaveNoPersonalData(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	env := environment{"DATABASE_URL": db.URL, "LOANSERVE_LOG_FORMAT": "json", "LOANSERVE_LOG_LEVEL": "debug"}
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(keptPassword+"\n"), 0o600))
	user := runWith(t.Context(), env, "user", "create", "--name", "pat", "--full-name", "Patience Quillfeather",
		"--role", "operator", "--password-file", file)
	require.Equal(t, exitOK, user.code, user.stderr)

	// The first of the story's tokens, so that the demo's requests are repetitions of its own.
	made := runWith(t.Context(), env, append([]string{"token", "create", "--name", demoTokenName}, scopeFlags()...)...)
	require.Equal(t, exitOK, made.code, made.stderr)
	token := strings.TrimSpace(made.stdout)

	serve := start(t, db, "serve", "--workers", "4", "--log-level", "debug")
	d := &demo{progress: newProgress(io.Discard, slog.New(slog.DiscardHandler))}
	outcomes, err := d.work(t.Context(), newDemoClient(serve.api, token))
	require.NoError(t, err)
	alone, err := newDemoClient(serve.api, token).pay(t.Context(), outcomes[0].id, "alone",
		[]byte(`{"amount_cents":100,"received_on":"2026-10-28","channel":"ach"}`))
	require.NoError(t, err)
	var session struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(sendTo(t, serve.api, "", "POST", "/v1/sessions", "",
		fmt.Sprintf(`{"name":"pat","password":%q}`, keptPassword), 201)), &session))
	require.NotEmpty(t, session.Token)
	sendTo(t, serve.api, token, "POST", "/v1/escrow-payees", "", fmt.Sprintf(
		`{"name":"Harlow County Treasurer","routing_number":"091000019","account_number":%q,"account_kind":"checking"}`,
		payeeAccount), 201)
	refuse(t, serve.api, token, outcomes[0].id)
	serve.signal(t, syscall.SIGTERM)
	require.NoError(t, serve.end(t))

	again := runWith(t.Context(), env, "demo", "--exit", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	require.Equal(t, exitOK, again.code, again.stderr)

	log := serve.log.String()
	require.GreaterOrEqual(t, strings.Count(log, `"msg":"request"`), 23+2*26+23+14)
	require.Contains(t, log, `"route":"/v1/loans/{loan_id}/payments","status":202`)
	require.Contains(t, log, fmt.Sprintf(`"loan_id":%d`, outcomes[0].id))
	require.Regexp(t, `"msg":"job",.*"payment_id":"`+alone.PaymentID+`","request_id":"`, log)
	secrets := append(private(t), keptPassword, wrongPassword, payeeAccount, token, session.Token,
		"Patience Quillfeather")
	for _, text := range []string{log, again.stderr, user.stderr, made.stderr} {
		for _, secret := range secrets {
			require.NotContains(t, strings.ToLower(text), strings.ToLower(secret))
		}
	}
}

func scopeFlags() (flags []string) {
	for _, scope := range allScopes() {
		flags = append(flags, "--scope", scope)
	}
	return flags
}
