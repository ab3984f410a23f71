package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"loanserve/internal/localday"
	"loanserve/mortgage"
	"loanserve/queries"
)

// Test doors into the package: the foundation is tested with operations of the
// tests' own.

var (
	NewServer      = newServer
	RouteDocs      = (*Server).routeDocs
	ParseToken     = tokenPrefix.parse
	ParseKey       = parseKey
	WaitPreference = waitPreference
	NewWaiters     = newWaiters
	RequestID      = requestID
	DBProblem      = dbProblem
	CauseAttr      = causeAttr
	NotFound       = notFound
	Invalid        = invalid
	InBody         = inBody
	QuoteOf        = quoteOf
)

// MarkUsedEvery and its like are the limits that the tests check.
const (
	MarkUsedEvery = markUsedEvery
	TokenCacheFor = tokenCacheFor
	MaxBodyBytes  = maxBodyBytes
	PollEvery     = pollEvery
	PollPause     = pollPause
	Unreadable    = unreadable
)

// ReceivedOn is the day of receipt of money that arrives at the instant.
func ReceivedOn(at time.Time, zone *time.Location, cutOff localday.Hour) mortgage.Date {
	return receiving{zone: zone, cutOff: cutOff}.dayOf(at)
}

// ClockSkew is how far a client's clock may be ahead.
const ClockSkew = clockSkew

// Problem is what a test sees of a problem.
type Problem = problem

// HashPasswordAt hashes at the cost, CheckHash compares as a login does, and
// AccountPause is the throttle's.
var (
	HashPasswordAt = hashPassword
	ParseHash      = parseHash
	AccountPause   = accountPause
	ScopesOf       = scopesOf
)

// CheckHash compares a password with a hash, as a server of the cost does.
func CheckHash(ctx context.Context, c PasswordCost, encoded, password string) (bool, string, error) {
	return newPasswords(c).check(ctx, encoded, password)
}

// NewPasswords and UsePasswordMemory are the bound on the memory of hashing.
var (
	NewPasswords      = newPasswords
	UsePasswordMemory = (*passwords).use
)

// HashingMemoryKiB is that bound.
const HashingMemoryKiB = hashingMemoryKiB

// WriteEvents returns when all events of answered requests are written.
func WriteEvents(s *Server) { s.events.close() }

// SessionToken makes the token of a session, ResetToken that of a reset.
var (
	SessionToken = sessionPrefix.format
	ResetToken   = resetPrefix.format
)

// NetworkFailures and its like are the limits of the throttle.
const (
	NetworkFailures = networkFailures
	FreeFailures    = freeFailures
	SessionCookie   = sessionCookie
)

// Date is a calendar day in a test's operation.
type Date = date

// Waiters is what a test sees of the waiters.
type Waiters = waiters

// Wait is the waiters' wait.
var Wait = (*waiters).wait

// CloseWaiters ends all waiting.
func CloseWaiters(w *waiters) { w.close() }

// TokenTable stands in for the table of tokens.
func TokenTable(
	get func(context.Context, int64) (queries.ApiToken, error), markUsed func(context.Context, int64) error,
) tokenTable {
	withOwner := func(ctx context.Context, id int64) (queries.GetAPITokenWithOwnerRow, error) {
		token, err := get(ctx, id)
		return queries.GetAPITokenWithOwnerRow{ApiToken: token}, err
	}
	return tokenTable{get: withOwner, markUsed: markUsed}
}

// API returns the huma API.
func (s *Server) API() huma.API { return s.api }

// Register adds an operation.
func Register[I, O any](s *Server, scope string, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	register(s, scope, op, handle)
}

// IntakeLimit and its like are the limits of the intake.
const (
	IntakeLimit    = intakeLimit
	IntakeFlushers = intakeFlushers
	MaxIntake      = maxIntake
)

// Stored is what became of one payment.
type Stored = stored

// Intake is what a test sees of the intake.
type Intake = intake

// NewIntake returns an intake that stores with the function.
func NewIntake(store func(context.Context, []queries.InsertPaymentParams) []Stored) *Intake {
	return &intake{store: store}
}

// IntakeOf returns the server's intake.
func IntakeOf(s *Server) *Intake { return s.intake }

// Accept is the intake's accept.
var Accept = (*intake).accept

// CloseIntake closes the intake.
func CloseIntake(i *Intake) { i.close() }

// IntakeState returns how many payments wait, and whether the intake is closed.
func IntakeState(i *Intake) (waiting int, closed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.waiting), i.closed
}

// StoredRow is a payment that was stored.
func StoredRow(row queries.Payment) Stored { return stored{row: row, err: nil} }

// ColumnsOf turns payments into columns.
var ColumnsOf = columnsOf

// AskEvery and AskBurst bound the questions to a provider of access tokens.
const (
	AskEvery = askEvery
	AskBurst = askBurst
)

// AgeKeys makes the keys of the provider as old as they get.
func AgeKeys(s *Server) {
	s.oidc.keys.mu.Lock()
	defer s.oidc.keys.mu.Unlock()
	s.oidc.keys.since = s.oidc.keys.since.Add(-keysLast)
}

// ForgetTokens has every token read anew.
func ForgetTokens(s *Server) {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.found)
}

// EventRest and EventPatience are the event log's.
const (
	EventRest     = eventRest
	EventPatience = eventPatience
)

// NewAccessTokens verifies access tokens, and AccessTokenPrincipal says who comes
// with one.
var (
	NewAccessTokens      = newAccessTokens
	AccessTokenPrincipal = (*accessTokens).principal
)
