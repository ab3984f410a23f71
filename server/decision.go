package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// The approval of what one principal asks for by another, for every resource
// that may wait for it. Such a resource has a status, among them these two, and
// says who decided, when, and with what note.
const (
	statusPendingApproval = "pending_approval"
	statusRefused         = "refused"
)

// approval is the body of an approval, which may be left out.
type approval struct {
	Note string `json:"note,omitzero" minLength:"1" maxLength:"500" doc:"For the record."`
}

// refusal is the body of a refusal.
type refusal struct {
	Note string `json:"note" minLength:"1" maxLength:"500" doc:"Why, for the record and for who asked."`
}

// decision is what a principal says of something that waits for approval.
type decision struct {
	approved bool
	by       string
	person   int64 // behind by, or 0
	note     string
}

// decisionOf is what the principal of ctx's request says.
func decisionOf(ctx context.Context, approved bool, note string) decision {
	p := PrincipalOf(ctx)
	return decision{approved: approved, by: p.ID, person: p.UserID, note: note}
}

// asked is what has been asked for, as its locked row says.
type asked struct {
	status       string
	requestedBy  string
	person       int64 // behind requestedBy, or 0
	decidedBy    *string
	decisionNote *string
}

// check says whether the decision is to be recorded. When the same principal has
// decided the same before, it was: then replayed is "true", and the first answer
// is to be given again. Its error is a problem: who asked for something does not
// decide on it, and nobody decides twice.
func (d decision) check(a asked) (replayed string, err error) {
	switch {
	case a.requestedBy == d.by, a.person != 0 && a.person == d.person:
		return "", ownRequest()
	case a.status == statusPendingApproval:
		return "", nil
	case a.decidedBy == nil:
		return "", conflict("It does not wait for approval.")
	case *a.decidedBy == d.by && (a.status != statusRefused) == d.approved && textOf(a.decisionNote) == d.note:
		return "true", nil
	case a.status == statusRefused:
		return "", conflict("It was refused before.")
	default:
		return "", conflict("It was approved before.")
	}
}

// personBehind returns the user who a recorded principal is, or whom the token
// that it is belongs to; 0 where there is none. A person asks by a session and
// decides by a token, or was operator then and is approver now: it stays his own
// request.
func personBehind(ctx context.Context, q *queries.Queries, principal string) (int64, error) {
	kind, number, _ := strings.Cut(principal, ":")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || kind == "user" {
		return id, nil //nolint:nilerr // It is neither a user nor a token, and the id 0.
	}
	if kind != "token" {
		return 0, nil
	}
	row, err := q.GetAPIToken(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && row.UserID == nil {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("get token: %w", err)
	}
	return *row.UserID, nil
}

// ownRequest refuses that somebody decides on what he asked for himself.
func ownRequest() *problem {
	return newProblem(kindOwnRequest, "Who asked for it does not decide on it: another principal must.")
}

// textOf returns a text that may be missing, which is then empty.
func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// textOrNil is the other way around: an empty text is stored as none.
func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
