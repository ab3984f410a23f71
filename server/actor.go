package server

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/go-json-experiment/json"

	"loanserve/queries"
)

// Actor is who changes people, roles, sessions or tokens, and by which request.
type Actor struct {
	Principal

	Address   netip.Addr // invalid where there is none
	RequestID string     // "" where there is none

	request *request // nil where there is none
}

// Operator is whoever calls the program at the command line, and so has the
// database itself.
var Operator = Actor{Principal: Principal{ID: "command", Name: "an operator at the command line"}}

// actorOf returns who makes the request that ctx belongs to.
func actorOf(ctx context.Context) Actor {
	return actorFor(ctx, PrincipalOf(ctx))
}

// actorFor is actorOf for a request of which the operation itself has found out
// who makes it.
func actorFor(ctx context.Context, p Principal) Actor {
	a := Actor{Principal: p, Address: peerOf(ctx)}
	if r := requestOf(ctx); r != nil {
		a.RequestID, a.request = r.id, r
		r.principal = &p
	}
	return a
}

// target is the user that an event is about, as he is at the moment.
type target struct {
	id   int64
	name string
	gone bool // He is deleted in the same transaction, so that nothing can refer to him.
}

func targetOf(u queries.User) target { return target{id: u.ID, name: u.Name} }

// tell adds an event to the audit trail, in the transaction of what it tells of.
// Where that commits, nothing more is told of the request.
func (a Actor) tell(ctx context.Context, q *queries.Queries, kind string, t target, details map[string]any) error {
	if details == nil {
		details = map[string]any{}
	}
	text, err := json.Marshal(details, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write details of event: %w", err)
	}
	arg := queries.InsertAuthEventParams{
		Kind: kind, Actor: a.ID, ActorName: a.Name, ActorUserID: a.user(),
		Target: nil, TargetName: nil, TargetUserID: nil, Ip: nil, RequestID: nil, Details: text,
	}
	if t.id != 0 {
		arg.Target, arg.TargetName = new(userText(t.id)), &t.name
		if !t.gone {
			arg.TargetUserID = &t.id
		}
	}
	if t.gone && a.UserID == t.id {
		arg.ActorUserID = nil
	}
	if a.Address.IsValid() {
		arg.Ip = &a.Address
	}
	if a.RequestID != "" {
		arg.RequestID = &a.RequestID
	}
	if err := q.InsertAuthEvent(ctx, arg); err != nil {
		return fmt.Errorf("insert event %s: %w", kind, err)
	}
	if a.request != nil {
		a.request.told = true
	}
	return nil
}

// user is the actor's id among users, or nil.
func (a Actor) user() *int64 {
	if a.UserID == 0 {
		return nil
	}
	return &a.UserID
}
