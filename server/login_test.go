package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/server"
)

func TestPausesGrow(t *testing.T) {
	t.Parallel()

	for failures, want := range []int{0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		require.Equal(t, time.Duration(want)*time.Second, server.AccountPause(int64(failures)), failures)
	}
	require.Equal(t, 300*time.Second, server.AccountPause(1<<40))
}

// guess tries to log in and returns the status and, when it is refused without a
// look at the password, in how many seconds to come back.
func (l *live) guess(t *testing.T, name, password string, header ...string) (status, retryAfter int) {
	t.Helper()
	w := l.anonymous(http.MethodPost, "/v1/sessions", loginBody(name, password), header...)
	if w.Code == http.StatusTooManyRequests {
		refused(t, w, 429, "rate-limited")
		retryAfter, err := strconv.Atoi(w.Header().Get("Retry-After"))
		require.NoError(t, err)
		return w.Code, retryAfter
	}
	return w.Code, 0
}

func TestAccountsRestAfterFailures(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat")
	for _, name := range []string{"pat", "nobody"} { // It is the same for a name that nobody has.
		for range server.FreeFailures {
			status, _ := l.guess(t, name, "wrong")
			require.Equal(t, 401, status)
		}
		status, after := l.guess(t, name, goodPassword)
		require.Equal(t, []int{429, 2}, []int{status, after}, "even the right one")

		// When the pause is over one more is taken, and the next pause is longer.
		l.super(t, `UPDATE login_attempts SET attempted_at = attempted_at - interval '2 seconds'`)
		status, _ = l.guess(t, name, "wrong")
		require.Equal(t, 401, status)
		status, after = l.guess(t, name, "wrong")
		require.Equal(t, []int{429, 4}, []int{status, after})
	}
	require.Equal(t, 2, l.count(t, `SELECT count(DISTINCT name) FROM login_attempts WHERE outcome = 'throttled'`))
	require.Contains(t, l.events(t, "request_refused"), "nobody 429 /v1/sessions")

	// Another account is not concerned, and success begins anew.
	l.user(t, "sam")
	l.logIn(t, "sam", goodPassword)
	l.super(t, `UPDATE login_attempts SET attempted_at = attempted_at - interval '5 seconds'`)
	l.logIn(t, "pat", goodPassword)
	for range server.FreeFailures {
		status, _ := l.guess(t, "pat", "wrong")
		require.Equal(t, 401, status)
	}

	// What is older than the window counts no longer.
	l.super(t, `UPDATE login_attempts SET attempted_at = attempted_at - interval '24 hours'`)
	status, _ := l.guess(t, "pat", "wrong")
	require.Equal(t, 401, status)
}

// A flood of refused attempts is not one of rows.
func TestRefusalsAreNotedOnceASecond(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.super(t, `INSERT INTO login_attempts (name, ip, outcome)
		SELECT 'pat', '203.0.113.1', 'wrong_password' FROM generate_series(1, 20)`)
	began := time.Now()
	for range 50 {
		status, _ := l.guess(t, "pat", "wrong")
		require.Equal(t, 429, status)
	}
	took := int(time.Since(began).Seconds()) + 1
	require.LessOrEqual(t, l.count(t, `SELECT count(*) FROM login_attempts WHERE outcome = 'throttled'`), took)
}

func TestNetworksRestAfterFailures(t *testing.T) {
	t.Parallel()

	l := setupLive(t, func(o *server.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	l.user(t, "pat")
	from := func(address string) []string { return []string{"X-Forwarded-For", address} }
	for name, tt := range map[string]struct{ failed, same, other string }{
		"version 4": {"203.0.113.7", "203.0.113.7", "203.0.113.8"},
		"version 6": {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"},
	} {
		l.super(t, `INSERT INTO login_attempts (name, ip, outcome)
			SELECT 'n' || n, $1::inet, 'unknown_name' FROM generate_series(1, $2::int - 1) n`, tt.failed, server.NetworkFailures)
		status, _ := l.guess(t, "somebody", "wrong", from(tt.failed)...)
		require.Equal(t, 401, status, name)
		status, after := l.guess(t, "pat", goodPassword, from(tt.same)...)
		require.Equal(t, 429, status, name)
		require.InDelta(t, 900, after, 60, name)
		status, _ = l.guess(t, "pat", goodPassword, from(tt.other)...)
		require.Equal(t, 201, status, name)
		l.super(t, `UPDATE login_attempts SET attempted_at = attempted_at - interval '15 minutes'`)
		status, _ = l.guess(t, "pat", goodPassword, from(tt.same)...)
		require.Equal(t, 201, status, name)
	}
}

// Two hundred guesses at the same moment: no more are evaluated than if they
// came one by one in the time it took.
func TestParallelGuesses(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat")
	began := time.Now()
	statuses := make([]int, 200)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			w := l.anonymous(http.MethodPost, "/v1/sessions", loginBody("pat", fmt.Sprint("guess", i)))
			statuses[i] = w.Code
		})
	}
	all.Wait()
	allowed := server.FreeFailures
	for left := time.Since(began); left > server.AccountPause(int64(allowed)); allowed++ {
		left -= server.AccountPause(int64(allowed))
	}
	evaluated := 0
	for _, status := range statuses {
		require.Contains(t, []int{401, 429}, status)
		if status == 401 {
			evaluated++
		}
	}
	require.GreaterOrEqual(t, evaluated, server.FreeFailures)
	require.LessOrEqual(t, evaluated, allowed)
	require.Equal(t, evaluated, l.count(t, `SELECT count(*) FROM login_attempts WHERE outcome = 'wrong_password'`))
}

// Guesses at names that exist and at others take the same time. The bound is
// generous: without the comparison against nobody's hash the medians differ by
// far more than the half.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	t.Parallel()

	cost := server.PasswordCost{MemoryKiB: 16 << 10, Passes: 1, Lanes: 1} // some ten milliseconds
	l := setupLive(t, func(o *server.Options) { o.PasswordCost = cost })
	const samples = 150
	for i := range samples {
		user := l.user(t, fmt.Sprint("known", i))
		if i == 0 {
			l.super(t, `UPDATE users SET password_hash = $1`, server.HashPasswordAt(goodPassword, cost))
			continue
		}
		l.super(t, `UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE name = 'known0')
			WHERE id = $1`, user.ID)
	}
	random := rand.New(rand.NewPCG(1, 2))
	names := make([]string, 0, 2*samples)
	for i := range samples {
		names = append(names, fmt.Sprint("known", i), fmt.Sprint("other", i))
	}
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	took := map[byte][]time.Duration{}
	for _, name := range names {
		// The limit of the address is not what is measured.
		l.super(t, `UPDATE login_attempts SET ip = '203.0.113.1' WHERE ip <> '203.0.113.1'`)
		began := time.Now()
		status, _ := l.guess(t, name, "wrong password")
		took[name[0]] = append(took[name[0]], time.Since(began))
		require.Equal(t, 401, status, name)
	}
	median := func(d []time.Duration) float64 { slices.Sort(d); return float64(d[len(d)/2]) }
	known, unknown := median(took['k']), median(took['o'])
	require.InEpsilon(t, known, unknown, 0.35, "known %v, unknown %v", time.Duration(known), time.Duration(unknown))
}

// Without the database, or an address to count by, nobody is let in.
func TestLogInFailsClosed(t *testing.T) {
	t.Parallel()

	l := setupLive(t, func(o *server.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	l.user(t, "pat", "viewer")
	w := l.anonymous(http.MethodPost, "/v1/sessions", loginBody("pat", goodPassword), "X-Forwarded-For", "garbage")
	refused(t, w, 400, "malformed")
	w = l.anonymous(http.MethodPost, "/v1/sessions", loginBody("pat", goodPassword))
	refused(t, w, 400, "malformed") // A trusted proxy that names nobody.
	token := answer(t, l.anonymous(http.MethodPost, "/v1/sessions", loginBody("pat", goodPassword),
		"X-Forwarded-For", "203.0.113.7"), 201)["token"].(string)
	refused(t, l.as(token).call(http.MethodGet, "/v1/loans", "", "X-Forwarded-For", "garbage"), 400, "malformed")

	l.super(t, `ALTER TABLE login_attempts RENAME TO elsewhere`)
	w = l.anonymous(http.MethodPost, "/v1/sessions", loginBody("pat", goodPassword), "X-Forwarded-For", "203.0.113.7")
	refused(t, w, 500, "internal")
	l.db.App.Close()
	w = l.anonymous(http.MethodPost, "/v1/sessions", loginBody("pat", goodPassword), "X-Forwarded-For", "203.0.113.7")
	refused(t, w, 503, "unavailable")
	w = l.as(token).call(http.MethodGet, "/v1/loans", "", "X-Forwarded-For", "203.0.113.7")
	refused(t, w, 503, "unavailable")
}

// An attempt whose process died counts as one that failed.
func TestStartedAttemptsCount(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	l.user(t, "pat")
	l.super(t, `INSERT INTO login_attempts (name, ip, outcome)
		SELECT 'pat', '203.0.113.1', 'started' FROM generate_series(1, 5)`)
	status, _ := l.guess(t, "pat", goodPassword)
	require.Equal(t, 429, status)
}

// The client's address is what a trusted proxy says, and nobody else.
func TestSpoofedAddress(t *testing.T) {
	t.Parallel()

	office := netip.MustParsePrefix("198.51.100.0/24")
	l := setupLive(t, func(o *server.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	user := l.user(t, "pat", "viewer")
	l.super(t, `INSERT INTO user_ip_allowlist (user_id, ip, label) VALUES ($1, $2, 'office')`, user.ID, office)
	call := func(peer, forwarded string) *httptest.ResponseRecorder {
		return l.from(peer, http.MethodPost, "/v1/sessions", loginBody("pat", goodPassword), "X-Forwarded-For", forwarded)
	}
	refused(t, call("203.0.113.9", "198.51.100.7"), 401, "unauthenticated") // no proxy of ours
	// The left part is the client's own words.
	refused(t, call("10.1.1.1", "198.51.100.7, 203.0.113.9"), 401, "unauthenticated")
	refused(t, call("10.1.1.1", "198.51.100.7, ::ffff:203.0.113.9"), 401, "unauthenticated")
	token := answer(t, call("10.1.1.1", "203.0.113.9, 198.51.100.7, 10.2.2.2"), 201)["token"].(string)

	get := func(peer, forwarded string) *httptest.ResponseRecorder {
		return l.from(peer, http.MethodGet, "/v1/loans", "", "X-Forwarded-For", forwarded, "Authorization", "Bearer "+token)
	}
	answer(t, get("10.1.1.1", "198.51.100.7"), 200)
	refused(t, get("203.0.113.9", "198.51.100.7"), 403, "forbidden")
	me := fmt.Sprintf("user:%d", user.ID)
	require.Contains(t, l.events(t, "request_refused"), me+" 403 /v1/loans")

	// An entry that is not yet valid, or no longer, is no permission, and still a restriction.
	for _, edit := range []string{
		`UPDATE user_ip_allowlist SET begins_at = now() - interval '2 days', ends_at = now() - interval '1 second'`,
		`UPDATE user_ip_allowlist SET begins_at = now() + interval '1 hour', ends_at = NULL`,
	} {
		l.super(t, edit)
		refused(t, get("10.1.1.1", "198.51.100.7"), 403, "forbidden")
	}
}
