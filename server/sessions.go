package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

func (s *Server) routeSessions() {
	registerPublic(s, huma.Operation{
		OperationID: "log-in", Method: http.MethodPost, Path: "/v1/sessions", Tags: []string{"sessions"},
		Summary: "Log in",
		Description: "Opens a session, which ends after 30 minutes without a request, and after 12 hours in any case. " +
			"Its token is sent as a bearer token or, where that is asked for, kept by the browser as a cookie. " +
			"Every attempt that fails gets the same answer. After five failures in a row an account rests for 2 " +
			"seconds, then for 4, up to 300; an address may fail 100 times in 15 minutes.",
		DefaultStatus: http.StatusCreated,
		Errors:        []int{http.StatusForbidden, http.StatusTooManyRequests},
	}, s.createSession)
	register(s, ScopeSelf, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/v1/sessions", Tags: []string{"sessions"},
		Summary: "List one's own sessions, the newest first",
	}, s.listSessions)
	register(s, ScopeSelf, huma.Operation{
		OperationID: "get-current-session", Method: http.MethodGet, Path: "/v1/sessions/current",
		Tags: []string{"sessions"}, Summary: "See who one is logged in as, and what one may do",
	}, s.currentSession)
	register(s, ScopeSelf, huma.Operation{
		OperationID: "log-out", Method: http.MethodDelete, Path: "/v1/sessions/current", Tags: []string{"sessions"},
		Summary: "Log out", Description: "Ends the session by which the request is made, at once.",
		DefaultStatus: http.StatusNoContent,
	}, s.logOut)
	register(s, ScopeSelf, huma.Operation{
		OperationID: "log-out-everywhere", Method: http.MethodDelete, Path: "/v1/sessions", Tags: []string{"sessions"},
		Summary: "Log out everywhere", Description: "Ends all of one's own sessions, this one as well.",
		DefaultStatus: http.StatusNoContent,
	}, s.logOutEverywhere)
	register(s, ScopeSelf, huma.Operation{
		OperationID: "end-session", Method: http.MethodDelete, Path: "/v1/sessions/{session_id}",
		Tags: []string{"sessions"}, Summary: "End one of one's own sessions",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
	}, s.endSession)
	register(s, ScopeSelf, huma.Operation{
		OperationID: "change-password", Method: http.MethodPut, Path: "/v1/password", Tags: []string{"sessions"},
		Summary:       "Change one's own password",
		Description:   "Ends all of one's own sessions, this one as well: whoever holds one of them has to log in.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusTooManyRequests},
	}, s.changePassword)
}

type createSessionInput struct {
	UserAgent string `header:"User-Agent" maxLength:"2000" doc:"Is shown in the list of sessions."`
	Body      credentials

	held string // the token of a session that the browser holds already
	from error  // why the browser may not be asking for itself
}

type credentials struct {
	Name     string `json:"name" minLength:"1" maxLength:"100"`
	Password string `json:"password" minLength:"1" maxLength:"128"`
	Cookie   bool   `json:"cookie,omitzero" doc:"Keep the token in a cookie of the browser and out of the answer."`
}

// Resolve implements huma.Resolver: it takes along what only the request has.
func (in *createSessionInput) Resolve(ctx huma.Context) []error {
	r, _ := humachi.Unwrap(ctx)
	in.held, in.from = heldSession(r), sameSite.Check(r)
	return nil
}

type createSessionOutput struct {
	SetCookie string `header:"Set-Cookie"`
	Body      openedSession
}

type openedSession struct {
	SessionID int64     `json:"session_id"`
	UserID    int64     `json:"user_id"`
	Name      string    `json:"name"`
	FullName  string    `json:"full_name"`
	Roles     []string  `json:"roles"`
	Token     string    `json:"token,omitzero" doc:"Send it as Authorization: Bearer …; it is shown only this once."`
	ExpiresAt time.Time `json:"expires_at" doc:"When the session ends, however much it is used."`
}

func (s *Server) createSession(ctx context.Context, in *createSessionInput) (*createSessionOutput, error) {
	if in.from != nil {
		return nil, crossSite()
	}
	a, rehashed, err := s.logIn(ctx, in.Body.Name, in.Body.Password)
	if err != nil {
		return nil, err
	}
	row, token, err := s.openSession(ctx, a, rehashed, clip(in.UserAgent), in.held)
	if err != nil {
		return nil, err
	}
	roles, err := s.q.ListUserRoles(ctx, a.user.ID)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	out := &createSessionOutput{Body: openedSession{
		SessionID: row.ID, UserID: a.user.ID, Name: a.user.Name, FullName: a.user.FullName, Roles: roles,
		ExpiresAt: row.ExpiresAt.UTC(),
	}}
	if in.Body.Cookie {
		out.SetCookie = sessionCookieOf(token, int(sessionLasts.Seconds()))
	} else {
		out.Body.Token = token
	}
	return out, nil
}

// clip shortens a browser's name for itself to what is stored of it.
func clip(userAgent string) string {
	const longest = 200
	if len(userAgent) > longest {
		userAgent = userAgent[:longest]
	}
	if !storable(userAgent) {
		return ""
	}
	return userAgent
}

// sessionCookieOf is the header that keeps a session's token in the browser, or
// with a negative age removes it. Scripts cannot read it, and other sites cannot
// make it be sent but by a link.
func sessionCookieOf(token string, seconds int) string {
	held := http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: seconds,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	return held.String()
}

type currentSessionOutput struct{ Body currentSession }

type currentSession struct {
	SessionID int64    `json:"session_id"`
	UserID    int64    `json:"user_id"`
	Principal string   `json:"principal" doc:"As it is recorded with what one causes."`
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes" doc:"Of one's roles, as they are now."`
}

func (s *Server) currentSession(ctx context.Context, _ *struct{}) (*currentSessionOutput, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	return &currentSessionOutput{Body: currentSession{
		SessionID: p.SessionID, UserID: p.UserID, Principal: p.ID, Name: p.Name, Scopes: p.Scopes,
	}}, nil
}

type listSessionsOutput struct {
	Body struct {
		Data []ownSession `json:"data"`
	}
}

type ownSession struct {
	SessionID  int64     `json:"session_id"`
	Current    bool      `json:"current" doc:"Whether this request is made by it."`
	IP         string    `json:"ip" doc:"Where it was opened from."`
	UserAgent  string    `json:"user_agent"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at" doc:"To the minute."`
	ExpiresAt  time.Time `json:"expires_at"`
}

func (s *Server) listSessions(ctx context.Context, _ *struct{}) (*listSessionsOutput, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	return s.sessionsOf(ctx, p.UserID, p.SessionID)
}

// sessionsOf returns a user's open sessions, of which one may be that of the request.
func (s *Server) sessionsOf(ctx context.Context, user, current int64) (*listSessionsOutput, error) {
	rows, err := s.q.ListLiveSessions(ctx, user, int32(sessionIdle.Seconds()))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	out := &listSessionsOutput{}
	out.Body.Data = make([]ownSession, len(rows))
	for i, row := range rows {
		out.Body.Data[i] = ownSession{
			SessionID: row.ID, Current: row.ID == current, IP: row.Ip.String(), UserAgent: row.UserAgent,
			CreatedAt: row.CreatedAt.UTC(), LastSeenAt: row.LastSeenAt.UTC(), ExpiresAt: row.ExpiresAt.UTC(),
		}
	}
	return out, nil
}

// person returns who makes the request, if it is made by a session.
func person(ctx context.Context) (Principal, error) {
	p := PrincipalOf(ctx)
	if p.SessionID == 0 {
		return p, forbidden("This is for people who are logged in, and not for tokens.")
	}
	return p, nil
}

type loggedOut struct {
	SetCookie string `header:"Set-Cookie"`
}

func goodbye() *loggedOut { return &loggedOut{SetCookie: sessionCookieOf("", -1)} }

func (s *Server) logOut(ctx context.Context, _ *struct{}) (*loggedOut, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.endOwn(ctx, "logged_out", func(q *queries.Queries) (int64, error) {
		return q.MarkSessionRevoked(ctx, p.SessionID, p.UserID)
	})
	return goodbye(), err
}

func (s *Server) logOutEverywhere(ctx context.Context, _ *struct{}) (*loggedOut, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.endOwn(ctx, "logged_out_everywhere", func(q *queries.Queries) (int64, error) {
		return q.MarkSessionsRevoked(ctx, p.UserID)
	})
	return goodbye(), err
}

type endSessionInput struct {
	SessionID int64 `path:"session_id" minimum:"1" maximum:"9007199254740991"`
}

func (s *Server) endSession(ctx context.Context, in *endSessionInput) (*struct{}, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	ended, err := s.endOwn(ctx, "session_ended", func(q *queries.Queries) (int64, error) {
		return q.MarkSessionRevoked(ctx, in.SessionID, p.UserID)
	})
	if err == nil && ended == 0 {
		err = notFound("You have no such session.")
	}
	return nil, err
}

// endOwn ends sessions of whoever asks, and tells of it, in one transaction.
func (s *Server) endOwn(
	ctx context.Context, kind string, end func(*queries.Queries) (int64, error),
) (ended int64, err error) {
	actor := actorOf(ctx)
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if ended, err = end(q); err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		return actor.tell(ctx, q, kind, target{id: actor.UserID, name: actor.Name}, map[string]any{"sessions": ended})
	})
	return ended, err
}

type changePasswordInput struct {
	Body struct {
		CurrentPassword string `json:"current_password" minLength:"1" maxLength:"128"`
		NewPassword     string `json:"new_password" minLength:"12" maxLength:"128"`
	}
}

// changePassword takes the current password the same way as a login does, so
// that a stolen session is no way to guess at it.
func (s *Server) changePassword(ctx context.Context, in *changePasswordInput) (*loggedOut, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	if CheckPassword(p.Name, in.Body.NewPassword) != nil {
		return nil, invalid(inBody("/new_password", "must not be your name"))
	}
	a, _, err := s.logIn(ctx, p.Name, in.Body.CurrentPassword)
	if err != nil {
		return nil, err
	}
	hash, err := s.newHash(ctx, in.Body.NewPassword)
	if err != nil {
		return nil, err
	}
	actor := actorOf(ctx)
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if err := queries.New(tx).MarkLoginAttempt(ctx, queries.LoginOutcomeSucceeded, a.id); err != nil {
			return fmt.Errorf("mark attempt: %w", err)
		}
		return Users{tx}.SetPassword(ctx, actor, a.user.ID, hash)
	})
	return goodbye(), asUserProblem(err)
}

// newHash hashes a new password, when there is memory for it.
func (s *Server) newHash(ctx context.Context, password string) (string, error) {
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return "", unavailable("Too many passwords are being looked at. Try again.", err)
	}
	return hash, nil
}
