package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/localday"
	"loanserve/internal/testdb"
	"loanserve/server"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()

	zone, err := localday.ParseZone(name)
	require.NoError(t, err)
	return zone
}

func hour(t *testing.T, text string) localday.Hour {
	t.Helper()

	hour, err := localday.ParseHour(text)
	require.NoError(t, err)
	return hour
}

func TestReceivedOn(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		at, zone, cutOff, want string
	}{
		"in the morning": {"2026-01-15T14:00:00Z", "America/New_York", "17:00", "2026-01-15"},
		"the last microsecond before the cut-off": {"2026-01-15T21:59:59.999999Z", "America/New_York", "17:00", "2026-01-15"},
		"at the cut-off":                              {"2026-01-15T22:00:00Z", "America/New_York", "17:00", "2026-01-16"},
		"the last microsecond of the day":             {"2026-01-16T04:59:59.999999Z", "America/New_York", "17:00", "2026-01-16"},
		"midnight, which is no second day later":      {"2026-01-16T05:00:00Z", "America/New_York", "17:00", "2026-01-16"},
		"on Friday evening it is Saturday's":          {"2026-01-16T23:00:00Z", "America/New_York", "17:00", "2026-01-17"},
		"on the evening before a holiday":             {"2026-12-24T23:00:00Z", "America/New_York", "17:00", "2026-12-25"},
		"the same instant further west":               {"2026-01-15T22:00:00Z", "America/Chicago", "17:00", "2026-01-15"},
		"the last day of the year":                    {"2026-12-31T22:00:00Z", "America/New_York", "17:00", "2027-01-01"},
		"before a leap day":                           {"2028-02-28T22:00:00Z", "America/New_York", "17:00", "2028-02-29"},
		"in summer the cut-off is an hour earlier":    {"2026-07-15T21:00:00Z", "America/New_York", "17:00", "2026-07-16"},
		"and not before":                              {"2026-07-15T20:59:59Z", "America/New_York", "17:00", "2026-07-15"},
		"the day on which the clock is put forward":   {"2026-03-08T20:59:59Z", "America/New_York", "17:00", "2026-03-08"},
		"and from the cut-off on":                     {"2026-03-08T21:00:00Z", "America/New_York", "17:00", "2026-03-09"},
		"the evening before it":                       {"2026-03-07T22:00:00Z", "America/New_York", "17:00", "2026-03-08"},
		"the day on which the clock is put back":      {"2026-11-01T21:59:59Z", "America/New_York", "17:00", "2026-11-01"},
		"and then from the cut-off on":                {"2026-11-01T22:00:00Z", "America/New_York", "17:00", "2026-11-02"},
		"a cut-off that the clock skips":              {"2026-03-08T07:00:00Z", "America/New_York", "02:30", "2026-03-09"},
		"the minute before that":                      {"2026-03-08T06:59:00Z", "America/New_York", "02:30", "2026-03-08"},
		"a cut-off that comes twice, the first time":  {"2026-11-01T05:30:00Z", "America/New_York", "01:30", "2026-11-02"},
		"a cut-off that comes twice, between them":    {"2026-11-01T06:10:00Z", "America/New_York", "01:30", "2026-11-01"},
		"a cut-off that comes twice, the second time": {"2026-11-01T06:30:00Z", "America/New_York", "01:30", "2026-11-02"},
		"a day without a midnight":                    {"2026-09-06T04:00:00Z", "America/Santiago", "17:00", "2026-09-06"},
		"no cut-off":                                  {"2026-01-16T04:59:59Z", "America/New_York", "24:00", "2026-01-15"},
		"none said":                                   {"2026-01-15T23:59:59Z", "UTC", "00:00", "2026-01-15"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			at, err := time.Parse(time.RFC3339, tt.at)
			require.NoError(t, err)
			got := server.ReceivedOn(at, zone(t, tt.zone), hour(t, tt.cutOff))
			if got.String() != tt.want {
				t.Errorf("ReceivedOn(%s, %s, %s) = %v, want %s", tt.at, tt.zone, tt.cutOff, got, tt.want)
			}
		})
	}
}

// eastern is a deployment on the east coast that closes at five.
func eastern(t *testing.T) func(*server.Options) {
	t.Helper()

	return func(o *server.Options) { o.TimeZone, o.CutOff = zone(t, "America/New_York"), hour(t, "17:00") }
}

func receivedAt(at string) string {
	return strings.Replace(paymentBody, `"received_on":"2026-02-01"`, fmt.Sprintf(`"received_at":%q`, at), 1)
}

func TestPaymentReceivedAtAnInstant(t *testing.T) {
	t.Parallel()

	l := setupLive(t, eastern(t))
	path := payTo(t, l)
	// Friday the 13th, 5 p.m.
	w := l.call(http.MethodPost, path, receivedAt("2026-02-13T17:00:00.1234567-05:00"), "Idempotency-Key", "p-1")
	got := answer(t, w, http.StatusAccepted)
	require.Equal(t, "2026-02-14", got["received_on"], "a Saturday")
	require.Equal(t, "2026-02-13T22:00:00.123456Z", got["received_at"])
	intime := answer(t, l.call(http.MethodPost, path, receivedAt("2026-02-13T21:59:59Z"), "Idempotency-Key", "p-2"), 202)
	require.Equal(t, "2026-02-13", intime["received_on"])

	for _, same := range []string{"2026-02-13T22:00:00.123456Z", "2026-02-13T16:00:00.1234569-06:00"} {
		again := l.call(http.MethodPost, path, receivedAt(same), "Idempotency-Key", "p-1")
		require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
		require.Equal(t, w.Body.String(), again.Body.String())
	}
	for _, other := range []string{
		receivedAt("2026-02-13T22:00:00.123457Z"), strings.Replace(paymentBody, "02-01", "02-14", 1),
	} {
		refused(t, l.call(http.MethodPost, path, other, "Idempotency-Key", "p-1"), 422, "key-reused")
	}

	l.work(t)
	posted := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=20"), 200)
	require.Equal(t, "posted", posted["status"])
	require.Equal(t, got["received_at"], posted["received_at"])
	require.Equal(t, 1, l.count(t, `SELECT count(DISTINCT effective_on) FROM transactions t
		JOIN payments p ON p.id = t.payment_id AND p.idempotency_key = 'p-1' WHERE effective_on = '2026-02-14'`))
	for _, item := range answer(t, l.call(http.MethodGet, path, ""), 200)["data"].([]any) {
		require.Contains(t, item, "received_at")
	}
}

func TestReceiptsThatAreRefused(t *testing.T) {
	t.Parallel()

	l := setupLive(t, eastern(t))
	path := payTo(t, l)
	both := strings.TrimSuffix(paymentBody, "}") + `,"received_at":"2026-02-01T12:00:00Z"}`
	neither := strings.Replace(paymentBody, `"received_on":"2026-02-01",`, "", 1)
	today := time.Now().In(zone(t, "America/New_York"))
	for name, tt := range map[string]struct{ body, place string }{
		"both":               {both, "/received_at"},
		"neither":            {neither, "/received_on"},
		"the future":         {receivedAt(time.Now().Add(server.ClockSkew + time.Minute).Format(time.RFC3339)), "/received_at"},
		"the distant future": {receivedAt("2199-12-31T23:59:59Z"), "/received_at"},
		"before 1970":        {receivedAt("1969-12-31T12:00:00Z"), "/received_at"},
		"the day after tomorrow": {
			strings.Replace(paymentBody, "2026-02-01", today.AddDate(0, 0, 2).Format(time.DateOnly), 1), "/received_on",
		},
		"no offset":          {receivedAt("2026-02-01T12:00:00"), "/received_at"},
		"a day":              {receivedAt("2026-02-01"), "/received_at"},
		"a day that is none": {receivedAt("2026-02-30T12:00:00Z"), "/received_at"},
		"a leap second":      {receivedAt("2016-12-31T23:59:60Z"), "/received_at"},
		"an offset too far":  {receivedAt("2026-02-01T12:00:00+25:00"), "/received_at"},
		"a comma":            {receivedAt("2026-02-01T12:00:00,5Z"), "/received_at"},
		"lower case":         {receivedAt("2026-02-01t12:00:00z"), "/received_at"},
		"a number":           {strings.Replace(receivedAt("X"), `"X"`, "1770000000", 1), "/received_at"},
	} {
		w := l.call(http.MethodPost, path, tt.body, "Idempotency-Key", "k-1")
		require.Equal(t, []string{tt.place}, refused(t, w, 422, "invalid"), name)
	}
	require.Zero(t, l.count(t, countPayments))

	for key, body := range map[string]string{
		"a-clock-ahead": receivedAt(time.Now().Add(server.ClockSkew - time.Minute).Format(time.RFC3339)),
		"tomorrow":      strings.Replace(paymentBody, "2026-02-01", today.AddDate(0, 0, 1).Format(time.DateOnly), 1),
		"long-ago":      receivedAt("1970-01-01T12:00:00-05:00"),
	} {
		answer(t, l.call(http.MethodPost, path, body, "Idempotency-Key", key), http.StatusAccepted)
	}
}

// Those that go together keep each its own instant, and those without one none.
func TestInstantsOfPaymentsThatGoTogether(t *testing.T) {
	t.Parallel()

	l := setupLive(t, eastern(t))
	c := gatherCrowd(t, l)
	var byDay, byInstant []*sent
	for i := range 20 {
		byDay = append(byDay, c.send(t, c.path(), paymentBody, fmt.Sprint("day-", i)))
		at := fmt.Sprintf("2026-02-02T16:%02d:00-05:00", 50+i%10)
		if i >= 10 {
			at = fmt.Sprintf("2026-02-02T17:%02d:00-05:00", i)
		}
		byInstant = append(byInstant, c.send(t, c.path(), receivedAt(at), fmt.Sprint("instant-", i)))
	}
	c.untilGathered(t)
	c.answered(t)
	require.Equal(t, 1, l.count(t, countChunks))
	for i := range 20 {
		require.NotContains(t, answer(t, byDay[i].ResponseRecorder, http.StatusAccepted), "received_at")
		got := answer(t, byInstant[i].ResponseRecorder, http.StatusAccepted)
		want := []any{"2026-02-02", fmt.Sprintf("2026-02-02T21:%02d:00Z", 50+i%10)}
		if i >= 10 {
			want = []any{"2026-02-03", fmt.Sprintf("2026-02-02T22:%02d:00Z", i)}
		}
		require.Equal(t, want, []any{got["received_on"], got["received_at"]})
	}
	require.Equal(t, 20, l.count(t, `SELECT count(*) FROM payments WHERE received_at IS NOT NULL`))
}

// The database refuses a day that no zone and no cut-off could make of the
// instant.
func TestTheDayFollowsFromTheInstant(t *testing.T) {
	t.Parallel()

	db := testdb.Clone(t)
	loan := testdb.Loan(t, db.App)
	payment := testdb.Payment(t, db.App, loan)
	for at, allowed := range map[string]bool{
		"2026-01-29T23:59:59Z": false, "2026-01-30T00:00:00Z": true,
		"2026-02-02T23:59:59Z": true, "2026-02-03T00:00:00Z": false,
	} {
		tx, err := db.Super.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `UPDATE payments SET received_at = $1::text::timestamptz WHERE id = $2`, at, payment.ID)
		require.Equal(t, allowed, err == nil, "%s: %v", at, err)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}
