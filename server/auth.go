package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// Scopes. A token has some of them; an operation needs one.
const (
	ScopeLoansRead       = "loans:read"
	ScopeLoansWrite      = "loans:write"
	ScopeLoansChange     = "loans:change"
	ScopeLoansApprove    = "loans:approve"
	ScopeLoansClose      = "loans:close"
	ScopePaymentsRead    = "payments:read"
	ScopePaymentsWrite   = "payments:write"
	ScopePaymentsReverse = "payments:reverse"
	ScopePaymentsApprove = "payments:approve"
	ScopeRunsRead        = "runs:read"
)

// Scopes lists every scope, with what it allows.
var Scopes = map[string]string{
	ScopeLoansRead:       "Read loans, their transactions, balances, schedules and payoff quotes.",
	ScopeLoansWrite:      "Board loans.",
	ScopeLoansApprove:    "Approve and refuse changes of loans that another principal has asked for.",
	ScopeLoansChange:     "Change rates and payments of loans, and waive late charges.",
	ScopePaymentsRead:    "Read payments and files of payments.",
	ScopePaymentsWrite:   "Submit payments and files of payments, and resolve their exceptions.",
	ScopeLoansClose:      "Close business days.",
	ScopePaymentsReverse: "Reverse payments, and reverse reversals.",
	ScopePaymentsApprove: "Approve or refuse reversals that another principal asked for.",
	ScopeRunsRead:        "Read runs and how far they have come.",
}

// tokenTable is what authentication needs of the table of tokens.
type tokenTable struct {
	// get returns the token with the id, whatever its state, or pgx.ErrNoRows.
	get func(ctx context.Context, id int64) (queries.ApiToken, error)
	// markUsed records that the token was used, at most once a minute.
	markUsed func(ctx context.Context, id int64) error
}

// Principal is who makes a request.
type Principal struct {
	ID     string // "token:12": stable, recorded with whatever it causes
	Name   string // for people
	Scopes []string
}

type principalKey struct{}

// PrincipalOf returns who makes the request that ctx belongs to. It panics
// outside of an operation, where there is nobody.
func PrincipalOf(ctx context.Context) Principal {
	return ctx.Value(principalKey{}).(Principal) //nolint:forcetypeassert // Authenticate put it there.
}

// authenticate is the huma middleware that lets an operation see only requests
// with a valid token that has the scope the operation declares.
func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	principal, err := s.tokens.principal(r.Context(), r.Header.Get("Authorization"))
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	if req := requestOf(r.Context()); req != nil {
		req.principal = &principal
	}
	scope := ctx.Operation().Security[0][bearer][0]
	if !slices.Contains(principal.Scopes, scope) {
		p := newProblem(kindForbidden, "The token lacks the scope "+scope+".")
		writeProblem(w, r, p.with("WWW-Authenticate",
			`Bearer realm="loanserve", error="insufficient_scope", scope="`+scope+`"`))
		return
	}
	next(huma.WithValue(ctx, principalKey{}, principal))
}

// unauthenticated says no more than RFC 6750 wants: not which part was wrong.
func unauthenticated(detail, challenge string) *problem {
	return newProblem(kindUnauthenticated, detail).with("WWW-Authenticate", `Bearer realm="loanserve"`+challenge)
}

func noToken() *problem {
	return unauthenticated("Send a token: Authorization: Bearer <token>.", "")
}

func badToken() *problem {
	return unauthenticated("The token is not valid.", `, error="invalid_token"`)
}

const (
	// tokenCacheFor is how long a token once found is believed, and so how long
	// a revoked one may go on working.
	tokenCacheFor = 5 * time.Second
	// tokenCacheSize bounds the cache; more tokens than this are just slower.
	tokenCacheSize = 1024
	// markUsedEvery is the precision of last_used_at.
	markUsedEvery = time.Minute
	// markUsedTimeout bounds the write, for which nobody waits.
	markUsedTimeout = 5 * time.Second
)

// tokenCache finds tokens and remembers those it found.
type tokenCache struct {
	table tokenTable
	log   *slog.Logger

	writes sync.WaitGroup
	mu     sync.Mutex
	found  map[int64]foundToken
}

type foundToken struct {
	queries.ApiToken

	until  time.Time // believe it until then
	marked time.Time // when its use was last recorded
}

// principal returns who an Authorization header speaks for. Its error is a
// problem, or a failure of the database.
func (c *tokenCache) principal(ctx context.Context, authorization string) (Principal, error) {
	if authorization == "" {
		return Principal{}, noToken()
	}
	scheme, credentials, _ := strings.Cut(authorization, " ")
	id, secret, err := parseToken(credentials)
	if !strings.EqualFold(scheme, "Bearer") || err != nil {
		return Principal{}, badToken()
	}
	now := time.Now()
	token, err := c.get(ctx, id, now)
	if errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, badToken()
	}
	if err != nil {
		return Principal{}, fmt.Errorf("get token: %w", err)
	}
	if subtle.ConstantTimeCompare(HashTokenSecret(secret), token.TokenHash) != 1 ||
		token.RevokedAt != nil || token.ExpiresAt != nil && !now.Before(*token.ExpiresAt) {
		return Principal{}, badToken()
	}
	c.markUsed(id, now)
	return Principal{ID: "token:" + strconv.FormatInt(id, 10), Name: token.Name, Scopes: token.Scopes}, nil
}

func (c *tokenCache) get(ctx context.Context, id int64, now time.Time) (queries.ApiToken, error) {
	c.mu.Lock()
	cached, ok := c.found[id]
	c.mu.Unlock()
	if ok && now.Before(cached.until) {
		return cached.ApiToken, nil
	}
	token, err := c.table.get(ctx, id)
	if err != nil {
		return queries.ApiToken{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	marked := c.found[id].marked
	if len(c.found) >= tokenCacheSize {
		clear(c.found)
	}
	c.found[id] = foundToken{ApiToken: token, until: now.Add(tokenCacheFor), marked: marked}
	return token, nil
}

// markUsed records the use of a token behind the request's back.
func (c *tokenCache) markUsed(id int64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cached, ok := c.found[id]
	if !ok || now.Sub(cached.marked) < markUsedEvery {
		return
	}
	cached.marked = now
	c.found[id] = cached
	c.writes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), markUsedTimeout)
		defer cancel()
		if err := c.table.markUsed(ctx, id); err != nil {
			c.log.LogAttrs(ctx, slog.LevelWarn, "mark token used", slog.Int64("token_id", id), causeAttr(err))
		}
	})
}

// close waits for the writes under way.
func (c *tokenCache) close() { c.writes.Wait() }
