package server

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"loanserve/queries"
)

func (s *Server) routeAuthEvents() {
	register(s, ScopeAuditRead, huma.Operation{
		OperationID: "list-auth-events", Method: http.MethodGet, Path: "/v1/auth-events", Tags: []string{"users"},
		Summary: "List the events of the audit trail, the latest first",
		Description: "Who changed people, roles, sessions and tokens; who made a request that may have changed " +
			"something (request_made); and who was refused (request_refused).",
	}, s.listAuthEvents)
}

// authEvent is an event of the audit trail, as the API shows it.
type authEvent struct {
	EventID    int64          `json:"event_id"`
	OccurredAt time.Time      `json:"occurred_at"`
	Kind       string         `json:"kind"`
	Actor      string         `json:"actor" doc:"The principal, such as user:7 or token:12; nobody where nobody is known."`
	ActorName  string         `json:"actor_name" doc:"His name as it was then."`
	Target     string         `json:"target,omitzero" doc:"The user that it was done to."`
	TargetName string         `json:"target_name,omitzero"`
	IP         string         `json:"ip,omitzero"`
	RequestID  string         `json:"request_id,omitzero"`
	Requests   int32          `json:"requests" doc:"How many like requests of the same moment it stands for."`
	Details    map[string]any `json:"details"`
}

func authEventOf(row queries.AuthEvent) (authEvent, error) {
	e := authEvent{
		EventID: row.ID, OccurredAt: row.OccurredAt.UTC(), Kind: row.Kind, Actor: row.Actor, ActorName: row.ActorName,
		Requests: row.Requests,
	}
	if err := json.Unmarshal(row.Details, &e.Details); err != nil {
		return e, fmt.Errorf("read details of event %d: %w", row.ID, err)
	}
	if row.Target != nil && row.TargetName != nil {
		e.Target, e.TargetName = *row.Target, *row.TargetName
	}
	if row.Ip != nil {
		e.IP = row.Ip.String()
	}
	if row.RequestID != nil {
		e.RequestID = *row.RequestID
	}
	return e, nil
}

type listAuthEventsInput struct {
	Page
	Kind string `query:"kind" maxLength:"60" doc:"Only events of this kind."`
}

type listAuthEventsOutput struct {
	Link string `header:"Link" doc:"The next page (RFC 8288)."`
	Body authEventPage
}

type authEventPage struct {
	Data       []authEvent `json:"data"`
	NextCursor string      `json:"next_cursor,omitzero" doc:"Left out on the last page."`
}

func (s *Server) listAuthEvents(ctx context.Context, in *listAuthEventsInput) (*listAuthEventsOutput, error) {
	before, err := in.afterNumber(64)
	if err != nil {
		return nil, err
	}
	if before == 0 {
		before = math.MaxInt64
	}
	var rows []queries.AuthEvent
	if in.Kind == "" {
		rows, err = s.q.ListAuthEvents(ctx, before, in.Limit+1)
	} else {
		rows, err = s.q.ListAuthEventsOfKind(ctx, queries.ListAuthEventsOfKindParams{
			Kind: in.Kind, BeforeID: before, RowLimit: in.Limit + 1,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	rows, next := cut(rows, in.Limit, func(r queries.AuthEvent) string { return strconv.FormatInt(r.ID, 10) })
	out := &listAuthEventsOutput{}
	for _, row := range rows {
		e, err := authEventOf(row)
		if err != nil {
			return nil, err
		}
		out.Body.Data = append(out.Body.Data, e)
	}
	if next != "" {
		out.Body.NextCursor = next
		out.Link = in.linkToNext("/v1/auth-events", next, filters("kind", in.Kind))
	}
	return out, nil
}
