package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"loanserve/queries"
)

// Test doors into the package: the foundation is tested with operations of the
// tests' own.

var (
	NewServer      = newServer
	RouteDocs      = (*Server).routeDocs
	ParseToken     = parseToken
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

// Problem is what a test sees of a problem.
type Problem = problem

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
	return tokenTable{get: get, markUsed: markUsed}
}

// API returns the huma API.
func (s *Server) API() huma.API { return s.api }

// Register adds an operation.
func Register[I, O any](s *Server, scope string, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	register(s, scope, op, handle)
}
