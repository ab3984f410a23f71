package ops_test

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/server"
)

func (s *site) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()

	require.NoError(t, s.db.App.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

func TestFormSentTwice(t *testing.T) {
	t.Parallel()

	s := setup(t)
	loan := testdb.Loan(t, s.db.App)
	b := s.user(t, "olivia", "operator")
	form := "/ops/do/submit-payment?loan_id=" + strconv.FormatInt(loan.ID, 10)
	sent := fill(t, b.page(t, form), "submit-payment", url.Values{
		"amount_cents": {"$1,234.56"}, "received_on": {"2026-01-02"}, "channel": {"check"}, "designation": {"periodic"},
	})
	status, header, _ := b.post(t, "/ops/do/submit-payment", sent)
	require.Equal(t, http.StatusSeeOther, status)
	first := header.Get("Location")
	require.Regexp(t, `^/ops/payments/[0-9a-f-]{36}\?done=submit-payment$`, first)
	_, header, _ = b.post(t, "/ops/do/submit-payment", sent)
	require.Equal(t, first, header.Get("Location"))
	require.Equal(t, 1, s.count(t, `SELECT count(*) FROM payments WHERE amount_cents = 123456`))
	require.Contains(t, b.page(t, first), "The payment is stored, and is being posted.")

	again := fill(t, b.page(t, form), "submit-payment", nil)
	require.NotEqual(t, sent.Get("idempotency_key"), again.Get("idempotency_key"), "another form is another payment")
}

func TestFormsSayWhatIsWrong(t *testing.T) {
	t.Parallel()

	s := setup(t)
	loan := testdb.Loan(t, s.db.App)
	b := s.user(t, "olivia", "operator")
	for name, of := range map[string]struct {
		field, value, says string
	}{
		"no number":       {"amount_cents", "a lot", "must be an amount such as 1,234.56"},
		"three decimals":  {"amount_cents", "1.234", "must be an amount such as 1,234.56"},
		"negative":        {"amount_cents", "-1.00", "must be an amount such as 1,234.56"},
		"commas anywhere": {"amount_cents", "1,2,3.00", "must be an amount such as 1,234.56"},
		"too much":        {"amount_cents", "9999999999999.99", "must be"},
		"nothing":         {"amount_cents", "", "is required"},
		"no day":          {"received_on", "2026-02-30", "must be"},
		"unknown channel": {"channel", "pigeon", "must be"},
	} {
		sent := url.Values{
			"loan_id": {strconv.FormatInt(loan.ID, 10)}, "idempotency_key": {"k"}, "amount_cents": {"10"},
			"received_on": {"2026-01-02"}, "channel": {"check"}, "designation": {"periodic"}, "back": {"/ops/loans"},
		}
		sent.Set(of.field, of.value)
		status, _, body := b.post(t, "/ops/do/submit-payment", sent)
		require.Equal(t, http.StatusUnprocessableEntity, status, name)
		require.Contains(t, body, of.says, name)
		require.Contains(t, body, `role="alert"`, name)
		require.Contains(t, body, `value="k"`, "the key stays with the form")
		require.Contains(t, body, `href="/ops/loans"`, name)
	}
	require.Zero(t, s.count(t, `SELECT count(*) FROM payments`))
}

func TestActionsOfOthers(t *testing.T) {
	t.Parallel()

	s := setup(t)
	loan := testdb.Loan(t, s.db.App)
	b := s.user(t, "vera", "viewer")
	status, body := b.get(t, "/ops/do/submit-payment?loan_id="+strconv.FormatInt(loan.ID, 10))
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "payments:write")
	status, _, _ = b.post(t, "/ops/do/submit-payment", url.Values{
		"loan_id": {strconv.FormatInt(loan.ID, 10)}, "idempotency_key": {"k"}, "amount_cents": {"10"},
		"received_on": {"2026-01-02"}, "channel": {"check"}, "designation": {"periodic"},
	})
	require.Equal(t, http.StatusForbidden, status)
	require.Zero(t, s.count(t, `SELECT count(*) FROM payments`))
	status, _ = b.get(t, "/ops/do/nothing")
	require.Equal(t, http.StatusNotFound, status)
	status, _, _ = b.post(t, "/ops/do/nothing", nil)
	require.Equal(t, http.StatusNotFound, status)
}

// A path that a form fills in stays the path of its operation.
func TestFormsCannotGoElsewhere(t *testing.T) {
	t.Parallel()

	s := setup(t)
	b := s.user(t, "ada", "admin")
	for _, id := range []string{"../sessions", "1/roles/admin", "1?x=1", "%2e%2e", ".", ".."} {
		status, _, _ := b.post(t, "/ops/do/disable-user", url.Values{"user_id": {id}})
		require.Contains(t, []int{http.StatusUnprocessableEntity, http.StatusNotFound}, status, id)
	}
	require.Zero(t, s.count(t, `SELECT count(*) FROM users WHERE disabled_at IS NOT NULL`))
}

func TestReversalWithApproval(t *testing.T) {
	t.Parallel()

	s := setup(t, func(o *server.Options) { o.ReversalApproval = true })
	s.work(t)
	loan := testdb.Loan(t, s.db.App)
	olivia, amir := s.user(t, "olivia", "operator"), s.user(t, "amir", "approver")
	id := strconv.FormatInt(loan.ID, 10)
	_, header, _ := olivia.post(t, "/ops/do/submit-payment", url.Values{
		"loan_id": {id}, "idempotency_key": {"pay"}, "amount_cents": {"10.00"}, "received_on": {"2026-01-02"},
		"channel": {"check"}, "designation": {"principal"},
	})
	payment := header.Get("Location")
	until(t, func() bool { return s.count(t, `SELECT count(*) FROM payments WHERE status = 'posted'`) == 1 })
	page := olivia.page(t, payment)
	require.Contains(t, page, "How it was divided")
	require.NotContains(t, amir.page(t, payment), "/ops/do/reverse-payment", "who approves does not ask")

	status, header, body := olivia.post(t, "/ops/do/reverse-payment",
		fill(t, page, "reverse-payment", url.Values{"reason": {"misapplied"}, "note": {"wrong <loan>"}}))
	require.Equal(t, http.StatusSeeOther, status, body)
	waiting := olivia.page(t, header.Get("Location"))
	require.Contains(t, waiting, "pending approval")
	require.Contains(t, waiting, "wrong &lt;loan&gt;")
	require.NotContains(t, waiting, "/ops/do/approve-reversal")
	require.Contains(t, amir.page(t, "/ops/reversals?status=pending_approval"), "misapplied")
	status, _, body = amir.post(t, "/ops/do/approve-reversal", fill(t, amir.page(t, payment), "approve-reversal", nil))
	require.Equal(t, http.StatusSeeOther, status, body)
	until(t, func() bool { return s.count(t, `SELECT count(*) FROM payments WHERE status = 'reversed'`) == 1 })
	require.Contains(t, amir.page(t, payment), "reversed")
}

// until returns when it is so, which has to be soon.
func until(t *testing.T, so func() bool) {
	t.Helper()
	require.Eventually(t, so, 30*time.Second, 20*time.Millisecond)
}

func TestUserIsDisabledAndEnabled(t *testing.T) {
	t.Parallel()

	s := setup(t)
	ada := s.user(t, "ada", "admin")
	s.user(t, "olivia", "operator")
	page := "/ops/users/2"
	for _, act := range []string{"disable-user", "enable-user"} {
		status, header, body := ada.post(t, "/ops/do/"+act, fill(t, ada.page(t, page), act, nil))
		require.Equal(t, http.StatusSeeOther, status, body)
		require.Equal(t, page+"?done="+act, header.Get("Location"))
		disabled := s.count(t, `SELECT count(*) FROM users WHERE disabled_at IS NOT NULL AND name = 'olivia'`)
		require.Equal(t, act == "disable-user", disabled == 1)
	}
}
