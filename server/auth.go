package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
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
	ScopeUsersRead       = "users:read"
	ScopeUsersWrite      = "users:write"
	ScopeAuditRead       = "audit:read"
	ScopeHousekeepingRun = "housekeeping:run"
	ScopeIntegrityRead   = "integrity:read"
	ScopeIntegrityRun    = "integrity:run"
	ScopeBackupsRun      = "backups:run"
	ScopeBackupsRead     = "backups:read"
	ScopeOperationsRead  = "operations:read"
	ScopeJobsRead        = "jobs:read"
	ScopeJobsControl     = "jobs:control"
	ScopeWebhooksRead    = "webhooks:read"
	ScopeWebhooksWrite   = "webhooks:write"
	// ScopeSelf is everybody's who is logged in.
	ScopeSelf = "self"

	ScopeEscrowRead     = "escrow:read"
	ScopeEscrowWrite    = "escrow:write"
	ScopeEscrowDisburse = "escrow:disburse"
	ScopeEscrowPayees   = "escrow:payees"
	ScopeEscrowAnalyze  = "escrow:analyze"
	ScopeEscrowPolicy   = "escrow:policy"
	ScopeEscrowDeliver  = "escrow:deliver"
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
	ScopeUsersRead:       "Read users, their roles and networks.",
	ScopeUsersWrite:      "Add, disable and delete users, and change their roles, networks and passwords.",
	ScopeAuditRead:       "Read the audit trail.",
	ScopeHousekeepingRun: "Delete ended sessions and old login attempts, and check the schema.",
	ScopeIntegrityRead:   "Read what checks of the stored data have found.",
	ScopeIntegrityRun:    "Check the stored data against itself.",
	ScopeBackupsRun:      "Have backups made.",
	ScopeBackupsRead:     "Read which backups there are and what became of them.",
	ScopeOperationsRead:  "Read what operators see at a glance.",
	ScopeJobsRead:        "Read queues and jobs, but not what jobs are about.",
	ScopeJobsControl:     "Pause and resume queues, and try jobs again or cancel them.",
	ScopeWebhooksRead:    "Read who is told of what by webhooks, what was sent and what became of it.",
	ScopeWebhooksWrite:   "Add, change and delete webhook subscriptions, and have messages sent again.",
	ScopeSelf: "Read and end one's own sessions, change one's own password, and make, list and revoke " +
		"one's own tokens.",

	ScopeEscrowRead:     "Read escrow lines, bills, analyses, statements and disbursements.",
	ScopeEscrowWrite:    "Add and change escrow lines and bills, and release bills that are held.",
	ScopeEscrowDisburse: "Pay bills from escrow, write and download payment files, and say what arrived or came back.",
	ScopeEscrowPayees:   "Say where payees are paid, and by what policy.",
	ScopeEscrowAnalyze:  "Analyze escrow accounts, which changes payments.",
	ScopeEscrowPolicy:   "Set the policy that escrow analyses follow.",
	ScopeEscrowDeliver:  "Record that escrow statements were delivered.",
}

// tokenTable is what authentication needs of the table of tokens.
type tokenTable struct {
	// get returns the token with the id, whatever its state, or pgx.ErrNoRows.
	get func(ctx context.Context, id int64) (queries.GetAPITokenWithOwnerRow, error)
	// markUsed records that the token was used, at most once a minute.
	markUsed func(ctx context.Context, id int64) error
}

// Principal is who makes a request.
type Principal struct {
	ID        string // "token:12", "user:7" or "oidc:<subject>": stable, recorded with whatever it causes
	Name      string // for people
	Scopes    []string
	UserID    int64 // of a person, or of the owner of a token; 0 where there is none
	SessionID int64 // of a person who is logged in; otherwise 0
}

type principalKey struct{}

// PrincipalOf returns who makes the request that ctx belongs to. It panics
// outside of an operation, where there is nobody.
func PrincipalOf(ctx context.Context) Principal {
	return ctx.Value(principalKey{}).(Principal) //nolint:forcetypeassert // Authenticate put it there.
}

// authenticate is the huma middleware that lets an operation see only requests
// of somebody who has the scope the operation declares. One that declares none
// is public.
func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	if len(ctx.Operation().Security) == 0 {
		next(ctx)
		return
	}
	r, w := humachi.Unwrap(ctx)
	principal, err := s.identify(r)
	if req := requestOf(r.Context()); req != nil && principal.ID != "" {
		req.principal = &principal
	}
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	scope := ctx.Operation().Security[0][bearer][0]
	if !slices.Contains(principal.Scopes, scope) {
		p := forbidden("This takes the scope " + scope + ", which you lack.")
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

	ownerDisabled bool
	ownerRoles    []string
	ownerFenced   bool           // He may come only from his networks.
	ownerNetworks []netip.Prefix // that are valid

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
	id, secret, err := tokenPrefix.parse(credentials)
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
	principal := tokenPrincipal(id, token)
	if subtle.ConstantTimeCompare(HashTokenSecret(secret), token.TokenHash) != 1 {
		return Principal{}, badToken()
	}
	if token.RevokedAt != nil || token.ExpiresAt != nil && !now.Before(*token.ExpiresAt) || token.ownerDisabled {
		return principal, badToken()
	}
	if err := token.checkAddress(ctx); err != nil {
		return principal, err
	}
	c.markUsed(id, now)
	return principal, nil
}

// checkAddress refuses a token that is used from where neither it nor the user it
// belongs to may come from.
func (t *foundToken) checkAddress(ctx context.Context) error {
	if len(t.Cidrs) == 0 && !t.ownerFenced {
		return nil
	}
	address, err := clientAddress(ctx)
	if err != nil {
		return err
	}
	if len(t.Cidrs) > 0 && !contains(t.Cidrs, address) || t.ownerFenced && !contains(t.ownerNetworks, address) {
		return elsewhere()
	}
	return nil
}

// tokenPrincipal is a machine. A token that belongs to a user can do nothing
// that he cannot do himself.
func tokenPrincipal(id int64, token foundToken) Principal {
	p := Principal{ID: "token:" + strconv.FormatInt(id, 10), Name: token.Name, Scopes: token.Scopes}
	if token.UserID != nil {
		p.UserID = *token.UserID
		may := scopesOf(token.ownerRoles)
		p.Scopes = slices.DeleteFunc(slices.Clone(token.Scopes), func(scope string) bool {
			return !slices.Contains(may, scope)
		})
	}
	return p
}

func (c *tokenCache) get(ctx context.Context, id int64, now time.Time) (foundToken, error) {
	c.mu.Lock()
	cached, ok := c.found[id]
	c.mu.Unlock()
	if ok && now.Before(cached.until) {
		return cached, nil
	}
	row, err := c.table.get(ctx, id)
	if err != nil {
		return foundToken{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	marked := c.found[id].marked
	if len(c.found) >= tokenCacheSize {
		clear(c.found)
	}
	token := foundToken{
		ApiToken: row.ApiToken, ownerDisabled: row.OwnerDisabled, ownerRoles: row.OwnerRoles,
		ownerFenced: row.OwnerFenced, ownerNetworks: row.OwnerNetworks,
		until: now.Add(tokenCacheFor), marked: marked,
	}
	c.found[id] = token
	return token, nil
}

// forget has the token read anew when it is next used.
func (c *tokenCache) forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.found, id)
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
