package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/server"
)

// references finds every column that may name a principal, so that a new one is
// looked at as well.
const references = `
SELECT format('%I.%I', relname, attname)
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
  AND (attname ~ '_by$' OR attname IN ('actor', 'target')) AND atttypid = 'text'::regtype
ORDER BY 1`

// People are tangled in a random history: they log in, fail to, give each
// other roles and take them, make tokens, submit payments, are looked at by the
// audit trail as actor and as target. Each of them can then be deleted, in any
// order, and nothing is orphaned or forgotten.
func TestDeleteTangledUsers(t *testing.T) {
	t.Parallel()

	people, steps := testdb.Scale(20, 50), testdb.Scale(240, 600)
	l, root, admin := admins(t)
	random := rand.New(rand.NewPCG(5, 50))
	users := make([]queries.User, people)
	for i := range users {
		users[i] = l.user(t, fmt.Sprintf("person%02d", i), pick(random, "viewer", "operator", "admin"))
	}
	loan := testdb.Loan(t, l.db.App)
	tangle := l.tangle(t, random, users, loan)
	for range steps {
		tangle()
	}
	server.WriteEvents(l.Server)
	// What no path of the program makes yet, but the schema allows: everything at once.
	for i, u := range users {
		next := users[(i+1)%people]
		l.super(t, `INSERT INTO user_roles (user_id, role_id, assigned_by, assigned_by_name) VALUES ($1, 4, $2, $3)
			ON CONFLICT (user_id, role_id) DO UPDATE SET assigned_by = excluded.assigned_by`, u.ID, next.ID, next.Name)
		l.super(t, `INSERT INTO auth_events (kind, actor, actor_name, actor_user_id, target, target_name, target_user_id)
			VALUES ('noted', 'user:' || $1::bigint, $2, $1, 'user:' || $3::bigint, $4, $3)`, u.ID, u.Name, next.ID, next.Name)
		l.super(t, `INSERT INTO password_resets (user_id, token_hash, expires_at, requested_by)
			VALUES ($1, sha256('x'), now() + interval '1 hour', 'user:' || $2::bigint) ON CONFLICT DO NOTHING`, u.ID, next.ID)
	}
	events := l.count(t, `SELECT count(*) FROM auth_events`)
	attempts := l.count(t, `SELECT count(*) FROM login_attempts`)
	payments := l.count(t, `SELECT count(*) FROM payments`)
	books := l.count(t, `SELECT count(*) FROM transactions`)
	require.NotZero(t, payments)

	random.Shuffle(people, func(i, j int) { users[i], users[j] = users[j], users[i] })
	for i, u := range users {
		w := l.as(admin).call(http.MethodDelete, userPath(u.ID, ""), "")
		require.Equal(t, http.StatusNoContent, w.Code, "the %dth of them: %s", i, w.Body.String())
	}
	server.WriteEvents(l.Server)
	require.Equal(t, 2, l.count(t, `SELECT count(*) FROM users`), "root and deputy")

	// The trail is complete: nothing is missing, and each deletion is told, with who it was.
	require.Equal(t, events+people, l.count(t, `SELECT count(*) FROM auth_events`))
	require.Equal(t, attempts, l.count(t, `SELECT count(*) FROM login_attempts`))
	require.Equal(t, payments, l.count(t, `SELECT count(*) FROM payments`))
	require.Equal(t, books, l.count(t, `SELECT count(*) FROM transactions`))
	require.Equal(t, people, l.count(t, fmt.Sprintf(`SELECT count(DISTINCT target) FROM auth_events
		WHERE kind = 'user_deleted' AND actor_user_id = %d AND target_user_id IS NULL
		AND details->>'full_name' = 'Person ' || target_name
		AND details->'roles' ? 'auditor'`, root.ID)))
	l.requireNothingOrphaned(t)
	require.Equal(t, 0, l.count(t, `SELECT count(*) FROM sessions WHERE user_id NOT IN (SELECT id FROM users)`))
	require.Equal(t, 0, l.count(t, `SELECT count(*) FROM api_tokens WHERE user_id IS NOT NULL`))

	// The last one in place goes on working.
	answer(t, l.as(admin).call(http.MethodGet, "/v1/users", ""), 200)
}

func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

// tangle returns what makes one random step of history.
func (l *live) tangle(t *testing.T, random *rand.Rand, users []queries.User, loan queries.Loan) func() {
	t.Helper()
	sessions := map[int64]string{}
	n := 0
	return func() {
		n++
		u, other := pick(random, users...), pick(random, users...)
		as := func(method, target, body string, header ...string) {
			if sessions[u.ID] == "" {
				sessions[u.ID] = l.logIn(t, u.Name, goodPassword)
			}
			w := l.as(sessions[u.ID]).call(method, target, body, header...)
			require.Less(t, w.Code, 500, w.Body.String())
		}
		switch random.IntN(9) {
		case 0:
			l.anonymous(http.MethodPost, "/v1/sessions", loginBody(u.Name, "wrong"))
			l.super(t, `UPDATE login_attempts SET attempted_at = attempted_at - interval '1 day'`)
		case 1:
			as(http.MethodPut, userPath(other.ID, "/roles/"+pick(random, "viewer", "auditor", "admin")), "")
		case 2:
			as(http.MethodDelete, userPath(other.ID, "/roles/viewer"), "")
		case 3:
			as(http.MethodPost, userPath(other.ID, "/networks"), `{"ip":"192.0.2.0/24","label":"net"}`)
		case 4:
			payments := fmt.Sprintf("/v1/loans/%d/payments", loan.ID)
			as(http.MethodPost, payments, paymentBody, "Idempotency-Key", fmt.Sprint("k", n))
		case 5:
			secret := server.NewTokenSecret()
			require.NoError(t, pgx.BeginFunc(t.Context(), l.db.App, func(tx pgx.Tx) error {
				_, err := server.CreateToken(t.Context(), tx, anOperator, queries.InsertAPITokenParams{
					Name: "of " + u.Name, TokenHash: server.HashTokenSecret(secret),
					Scopes: []string{server.ScopeLoansRead}, UserID: &u.ID,
				})
				return err
			}))
		case 6:
			as(http.MethodPost, userPath(other.ID, "/password-resets"), "")
		case 7:
			as(http.MethodPost, "/v1/loans", strings.Replace(boardingBody, "LS-1", fmt.Sprint("LS-T", n), 1))
		case 8:
			as(http.MethodDelete, "/v1/sessions/current", "")
			sessions[u.ID] = ""
		}
	}
}

// requireNothingOrphaned looks up every text that names a principal, wherever it
// stands, and every reference by key.
func (l *live) requireNothingOrphaned(t *testing.T) {
	t.Helper()
	rows, err := l.db.Super.Query(t.Context(), references)
	require.NoError(t, err)
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, known := range []string{
		"loans.boarded_by", "payments.requested_by", "transactions.caused_by", "auth_events.actor", "auth_events.target",
		"password_resets.requested_by", "runs.requested_by",
	} {
		require.True(t, slices.Contains(columns, known), "%s is not looked at: %v", known, columns)
	}
	for _, column := range columns {
		table, name, _ := strings.Cut(column, ".")
		require.Equal(t, 0, l.count(t, fmt.Sprintf(`SELECT count(*) FROM %s WHERE %s ~ '^(user|token):[0-9]+$'
			AND NOT EXISTS (SELECT FROM principals WHERE principal = %s)`, table, name, name)), column)
	}
	require.Positive(t, l.count(t, `SELECT count(*) FROM payments JOIN principals ON principal = requested_by
		WHERE name LIKE 'person%'`), "a payment says whose it was")
	// Every event of the trail still says who it was about.
	require.Equal(t, 0, l.count(t, `SELECT count(*) FROM auth_events
		WHERE target ~ '^user:' AND target_user_id IS NULL AND target_name NOT LIKE 'person%'`))
}
