package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

// What is not in the books is not reversed, and what is not reversed does not
// come back.
func TestReversalsThatContradict(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	waiting := l.ask(fmt.Sprintf("/v1/loans/%d/payments", loan.ID), receipts[1]).Header().Get("Location")
	refused(t, l.ask(waiting+"/reversals", `{"reason":"R01"}`), 409, "conflict")
	l.work(t)
	payment := l.pay(t, loan, receipts[0])[0]

	const why = `{"reason":"mistaken"}`
	reversed := l.reverse(t, payment, `{"reason":"R01"}`)
	refused(t, l.ask(payment+"/reversals", `{"reason":"R01"}`), 409, "conflict")
	undone := l.reverse(t, reversed, why)
	refused(t, l.ask(reversed+"/reversals", why), 409, "conflict") // It is not in force.
	refused(t, l.ask(undone+"/reversals", why), 409, "conflict")   // The payment is what to reverse.
	again := l.reverse(t, payment, `{"reason":"stop"}`)
	refused(t, l.ask(reversed+"/reversals", why), 409, "conflict") // Another one is in force.
	l.reverse(t, again, why)
	l.requireSoundBooks(t)
	require.Equal(t, 4, l.count(t, `SELECT count(*) FROM payment_reversals`), "a refused request stores nothing")
}

// The codes with which a bank returns an entry, and our own words, are reasons.
func TestReasonsOfReversals(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	nowhere := "/v1/payments/" + uuid.NewString() + "/reversals"
	for n := range 100 {
		code := fmt.Sprintf("R%02d", n)
		w := l.ask(nowhere, `{"reason":"`+code+`"}`)
		if 1 <= n && n <= 39 || 50 <= n && n <= 53 || 80 <= n && n <= 85 { // the others are of other messages
			refused(t, w, 404, "not-found") // The reason is in order.
		} else {
			require.Equal(t, []string{"/reason"}, refused(t, w, 422, "invalid"), code)
		}
	}
	for _, word := range []string{"misapplied", "duplicate", "stop"} {
		refused(t, l.ask(nowhere, `{"reason":"`+word+`"}`), 404, "not-found")
	}
}

func TestReversalsThatAreRefused(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.work(t)
	payment := l.pay(t, testdb.Loan(t, l.db.App), receipts[0])[0]
	reversal := l.reverse(t, payment, `{"reason":"R01"}`)
	nobody := "/v1/payment-reversals/" + uuid.NewString()
	long := strings.Repeat("x", 501)
	for name, tt := range map[string]struct {
		path, body, place string
		status            int
		code              string
	}{
		"no reason":                {payment + "/reversals", `{}`, "/reason", 422, "invalid"},
		"a reason that is none":    {payment + "/reversals", `{"reason":""}`, "/reason", 422, "invalid"},
		"small letters":            {payment + "/reversals", `{"reason":"r01"}`, "/reason", 422, "invalid"},
		"more than a code":         {payment + "/reversals", `{"reason":"R01\n"}`, "/reason", 422, "invalid"},
		"a reason of null":         {payment + "/reversals", `{"reason":null}`, "/reason", 422, "invalid"},
		"a reason that undoes":     {payment + "/reversals", `{"reason":"mistaken"}`, "/reason", 422, "invalid"},
		"an empty note":            {payment + "/reversals", `{"reason":"R01","note":""}`, "/note", 422, "invalid"},
		"a long note":              {payment + "/reversals", `{"reason":"R01","note":"` + long + `"}`, "/note", 422, "invalid"},
		"a NUL":                    {payment + "/reversals", `{"reason":"R01","note":"a\u0000"}`, "/note", 422, "invalid"},
		"what the server decides":  {payment + "/reversals", `{"reason":"R01","status":"posted"}`, "/status", 422, "invalid"},
		"an approval of one's own": {payment + "/reversals", `{"reason":"R01","approval_required":false}`, "/approval_required", 422, "invalid"},
		"no JSON":                  {payment + "/reversals", `R01`, "/", 400, "malformed"},
		"a code that undoes":       {reversal + "/reversals", `{"reason":"R61"}`, "/reason", 422, "invalid"},
		"an unknown payment":       {"/v1/payments/" + uuid.NewString() + "/reversals", `{"reason":"R01"}`, "", 404, "not-found"},
		"no payment":               {"/v1/payments/x/reversals", `{"reason":"R01"}`, "?payment_id", 422, "invalid"},
		"an unknown reversal":      {nobody + "/reversals", `{"reason":"mistaken"}`, "", 404, "not-found"},
		"no reversal":              {"/v1/payment-reversals/x/reversals", `{"reason":"mistaken"}`, "?reversal_id", 422, "invalid"},
		"a refusal without a note": {reversal + "/refusal", `{}`, "/note", 422, "invalid"},
		"a refusal of blank paper": {reversal + "/refusal", `{"note":""}`, "/note", 422, "invalid"},
		"a long approval":          {reversal + "/approval", `{"note":"` + long + `"}`, "/note", 422, "invalid"},
		"an approval with a wish":  {reversal + "/approval", `{"decided_by":"token:1"}`, "/decided_by", 422, "invalid"},
		"an approval of nothing":   {nobody + "/approval", "", "", 404, "not-found"},
		"a refusal of nothing":     {nobody + "/refusal", `{"note":"x"}`, "", 404, "not-found"},
	} {
		places := refused(t, l.ask(tt.path, tt.body), tt.status, tt.code)
		require.Equal(t, tt.place, strings.Join(places, " "), name)
	}
	for path, reason := range map[string]string{payment: "R01", reversal: "mistaken"} {
		w := l.call(http.MethodPost, path+"/reversals", `{"reason":"`+reason+`"}`)
		require.Equal(t, []string{"Idempotency-Key:"}, refused(t, w, 400, "key-missing"))
	}
	for query, place := range map[string]string{
		"?status=x": "?status", "?limit=0": "?limit", "?limit=201": "?limit",
		"?cursor=x": "?cursor", "?cursor=MS4x": "?cursor",
	} {
		w := l.call(http.MethodGet, "/v1/payment-reversals"+query, "")
		require.Equal(t, []string{place}, refused(t, w, 422, "invalid"), query)
	}
	refused(t, l.call(http.MethodGet, "/v1/payments/"+uuid.NewString()+"/reversals", ""), 404, "not-found")
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM payment_reversals`), "none of it was stored")

	few := l.as(l.newToken(t, server.ScopePaymentsRead, server.ScopePaymentsWrite))
	refused(t, few.ask(payment+"/reversals", `{"reason":"R01"}`), 403, "forbidden")
	refused(t, few.ask(reversal+"/reversals", `{"reason":"mistaken"}`), 403, "forbidden")
	refused(t, few.ask(reversal+"/approval", ""), 403, "forbidden")
	refused(t, few.ask(reversal+"/refusal", `{"note":"x"}`), 403, "forbidden")
	none := l.as(l.newToken(t, server.ScopeLoansRead))
	refused(t, none.call(http.MethodGet, "/v1/payment-reversals", ""), 403, "forbidden")
}
