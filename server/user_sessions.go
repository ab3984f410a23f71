package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

func (s *Server) routeUserSessions() {
	register(s, ScopeUsersRead, huma.Operation{
		OperationID: "list-user-sessions", Method: http.MethodGet, Path: "/v1/users/{user_id}/sessions",
		Tags: []string{"users"}, Summary: "List a user's open sessions, the newest first", Errors: []int{http.StatusNotFound},
	}, s.listUserSessions)
	register(s, ScopeUsersWrite, huma.Operation{
		OperationID: "end-user-session", Method: http.MethodDelete, Path: "/v1/users/{user_id}/sessions/{session_id}",
		Tags: []string{"users"}, Summary: "End a user's session", Description: "Whoever uses it is logged out at once.",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
	}, s.endUserSession)
}

type listUserSessionsInput struct {
	UserRef
}

func (s *Server) listUserSessions(ctx context.Context, in *listUserSessionsInput) (*listSessionsOutput, error) {
	if _, err := s.findUser(ctx, in.UserID); err != nil {
		return nil, err
	}
	return s.sessionsOf(ctx, in.UserID, PrincipalOf(ctx).SessionID)
}

type endUserSessionInput struct {
	UserRef

	SessionID int64 `path:"session_id" minimum:"1" maximum:"9007199254740991"`
}

func (s *Server) endUserSession(ctx context.Context, in *endUserSessionInput) (*struct{}, error) {
	user, err := s.findUser(ctx, in.UserID)
	if err != nil {
		return nil, err
	}
	actor := actorOf(ctx)
	return nil, pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		ended, err := q.MarkSessionRevoked(ctx, in.SessionID, in.UserID)
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		if ended == 0 {
			return notFound("The user has no such session.")
		}
		return actor.tell(ctx, q, "session_ended", targetOf(user), map[string]any{"sessions": ended})
	})
}

// findUser returns the user, or the problem that there is none.
func (s *Server) findUser(ctx context.Context, id int64) (queries.User, error) {
	row, err := s.q.GetUser(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return row, noSuchUser()
	}
	if err != nil {
		return row, fmt.Errorf("get user: %w", err)
	}
	return row, nil
}
