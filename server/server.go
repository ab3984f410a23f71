package server

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"

	"loanserve/internal/localday"
	"loanserve/jobs"
	"loanserve/queries"
)

// DB is where the server reads and writes: a pool, or in a test one transaction
// in which whole requests run.
type DB interface {
	queries.DBTX
	jobs.DB
}

// Options are what a server needs. All of them are required, but where only the
// contract is wanted there need be no DB and no Jobs.
type Options struct {
	DB DB
	// Jobs hands work to the queue, inside of the server's transactions.
	Jobs *river.Client[pgx.Tx]
	// Log takes one line for every request.
	Log *slog.Logger
	// Registerer takes the server's metrics.
	Registerer prometheus.Registerer
	// ReversalApproval makes reversals wait for another principal's approval.
	ReversalApproval bool
	// ChangeApproval makes changes of loans wait for another principal's approval.
	ChangeApproval bool
	// TrustedProxies are the networks of proxies whose X-Forwarded-For is believed.
	// Without any, the client's address is the peer's.
	TrustedProxies []netip.Prefix
	// OIDC is the provider whose access tokens are taken; none where it is zero.
	OIDC OIDC
	// PasswordCost is what hashing a password costs; zero is the default.
	PasswordCost PasswordCost
	// WebhookNetworks are networks that are not public and that webhooks may be sent to.
	WebhookNetworks []netip.Prefix
	// TimeZone is where the deployment is at home; UTC where it is nil.
	TimeZone *time.Location
	// Tracer makes a span of each request; none is made where it is nil.
	Tracer trace.Tracer
	// CutOff is the hour from which on money that arrives is received on the next
	// day; none where it is zero.
	CutOff localday.Hour
}

// Server is the HTTP API.
type Server struct {
	db   DB
	q    *queries.Queries
	jobs *river.Client[pgx.Tx]

	log       *slog.Logger
	tracer    trace.Tracer // nil makes no spans
	metrics   metrics
	tokens    *tokenCache
	oidc      *accessTokens // nil where no provider is known
	events    *eventLog
	passwords *passwords
	receiving receiving
	intake    *intake  // of payments
	payments  *waiters // for payments to be posted or rejected
	reversals *waiters // for reversals to be posted or rejected
	changes   *waiters // for changes of loans to be posted or rejected
	batches   *waiters // for batches to be finished
	uploads   chan struct{}
	runs      *waiters // for runs to be over
	analyses  *waiters // for escrow analyses to be finished or rejected

	reversalApproval bool // Reversals wait for another principal.
	changeApproval   bool // So do changes of loans.
	webhookNetworks  []netip.Prefix
	escrowReturns    *waiters // for returned disbursements to be booked back

	glance    *figures[operations] // what operators see; nil where there are no operations
	portfolio *figures[portfolioGlance]

	router   *chi.Mux
	api      huma.API
	contract []byte
}

// New returns a server that is ready to handle requests. When it is no longer
// to, call StopWaiting, shut down the HTTP server in front of it, and call Close.
func New(o Options) (*Server, error) {
	q := queries.New(o.DB)
	tokens := tokenTable{get: q.GetAPITokenWithOwner, markUsed: q.MarkAPITokenUsed}
	s := newServer(o, tokens, q.ListFinishedPayments)
	s.db, s.q, s.jobs, s.tracer = o.DB, q, o.Jobs, o.Tracer
	s.events.db = o.DB
	s.passwords = newPasswords(o.PasswordCost)
	if o.OIDC.Issuer != "" {
		s.oidc = newAccessTokens(o.OIDC, q.InsertPrincipal)
	}
	s.routeSessions()
	s.routeUsers()
	s.routeUserAccess()
	s.routeTokens()
	s.routeAuthEvents()
	s.receiving = receiving{zone: cmp.Or(o.TimeZone, time.UTC), cutOff: o.CutOff}
	s.routeLoans()
	s.routePayments()
	s.reversals, s.reversalApproval = newWaiters(q.ListFinishedReversals, o.Log), o.ReversalApproval
	s.routeReversals()
	s.batches = newWaiters(q.ListFinishedPaymentBatches, o.Log)
	s.uploads = make(chan struct{}, maxUploads)
	s.routePaymentBatches()
	s.changes, s.changeApproval = newWaiters(q.ListFinishedLoanChanges, o.Log), o.ChangeApproval
	s.routeLoanChanges()
	s.routePayoffQuote()
	s.routeBalances()
	s.runs = newWaiters(q.ListFinishedRuns, o.Log)
	s.routeDayCloses()
	s.routePurges()
	s.routeIntegrity()
	s.routeSchemaChecks()
	s.routeRuns()
	s.routePaymentSearch()
	s.routeBatchLists()
	s.routeAnalysisSearch()
	s.routeDocuments()
	s.routeUserSessions()
	s.routeQueues()
	s.routeJobs()
	s.routeOperations()
	s.routeBackups()
	s.routeBackupVerifications()
	s.webhookNetworks = o.WebhookNetworks
	s.routeWebhookSubscriptions()
	s.routeWebhookMessages()
	s.escrowReturns = newWaiters(q.ListFinishedEscrowReturns, o.Log)
	s.routeEscrowBills()
	s.routeEscrowDisbursements()
	s.routeEscrowFiles()
	s.routeEscrowPayees()
	s.routeEscrowLines()
	s.routeEscrowSettings()
	s.routeEscrowPolicy()
	s.analyses = newWaiters(q.ListFinishedEscrowAnalyses, o.Log)
	s.routeEscrowAnalyses()
	s.routeEscrowRuns()
	s.routeEscrowStatements()
	return s, s.routeDocs()
}

// newServer returns a server without operations. Those registered on it are
// authenticated, checked and observed; routeDocs comes last.
func newServer(o Options, tokens tokenTable, finishedPayments finishedFunc) *Server {
	setUpHuma()
	s := &Server{
		log:      o.Log,
		metrics:  newMetrics(o.Registerer),
		tokens:   &tokenCache{table: tokens, log: o.Log, found: map[int64]foundToken{}},
		events:   newEventLog(o.Log, o.Registerer),
		payments: newWaiters(finishedPayments, o.Log),
		router:   chi.NewMux(),
	}
	s.intake = &intake{store: s.storePayments}
	s.router.Use(findClient(o.TrustedProxies), s.observe, securityHeaders, checkTarget, middleware.GetHead)
	s.router.NotFound(notFoundHandler)
	s.router.MethodNotAllowed(s.methodNotAllowed)
	s.api = humachi.New(s.router, humaConfig())
	s.api.UseMiddleware(s.authenticate, s.readBody)
	return s
}

func humaConfig() huma.Config {
	config := huma.DefaultConfig("LoanServe", "1.0.0")
	config.Info.Description = "Services mortgage loans. Money is whole cents, rates are millionths a year, " +
		"days are YYYY-MM-DD. What starts work is answered 202 with the place where its outcome can be read."
	config.Info.License = &huma.License{Name: "Apache License 2.0", Identifier: "Apache-2.0"}
	config.Tags = contractTags()
	config.Formats = map[string]huma.Format{jsonMediaType: jsonFormat, "json": jsonFormat}
	config.CreateHooks = nil // They would put "$schema" into every answer.
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.RejectUnknownQueryParameters = true
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearer: {Type: "http", Scheme: "bearer", Description: "A token of this program, loanserve_… " +
			"or loansession_…, or an access token (RFC 9068) of the provider that the deployment knows."},
		cookie: {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "A session, in a browser."},
	}
	return config
}

// Handler returns the API's handler. Its listener should set ReadHeaderTimeout
// and no WriteTimeout: the handler sets deadlines as each request needs them.
func (s *Server) Handler() http.Handler { return s.router }

// OpenAPI returns the contract as YAML. The same code gives the same bytes.
func (s *Server) OpenAPI() []byte { return s.contract }

// StopWaiting answers all long polls with what is known, and lets no more wait.
// Call it when shutdown begins, or the HTTP server would wait for them.
func (s *Server) StopWaiting() {
	s.payments.close()
	if s.reversals != nil {
		s.reversals.close()
	}
	if s.changes != nil {
		s.changes.close()
	}
	if s.batches != nil {
		s.batches.close()
	}
	if s.runs != nil {
		s.runs.close()
	}
	if s.escrowReturns != nil {
		s.escrowReturns.close()
	}
	if s.analyses != nil {
		s.analyses.close()
	}
}

// Close waits for what the server still writes, and answers what comes after it
// as unavailable.
func (s *Server) Close() {
	s.StopWaiting()
	s.intake.close()
	if s.glance != nil {
		s.glance.close()
		s.portfolio.close()
	}
	s.tokens.close()
	s.events.close()
}
