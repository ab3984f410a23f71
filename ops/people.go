package ops

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

type user struct {
	UserID    int64      `json:"user_id"`
	Name      string     `json:"name"`
	FullName  string     `json:"full_name"`
	Roles     []string   `json:"roles"`
	Disabled  bool       `json:"disabled"`
	CreatedAt *time.Time `json:"created_at"`
}

type userSession struct {
	SessionID  int64      `json:"session_id"`
	Current    bool       `json:"current"`
	IP         string     `json:"ip"`
	UserAgent  string     `json:"user_agent"`
	CreatedAt  *time.Time `json:"created_at"`
	LastSeenAt *time.Time `json:"last_seen_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
}

type auditEvent struct {
	EventID    int64           `json:"event_id"`
	OccurredAt *time.Time      `json:"occurred_at"`
	Kind       string          `json:"kind"`
	Actor      string          `json:"actor"`
	ActorName  string          `json:"actor_name"`
	TargetName string          `json:"target_name"`
	IP         string          `json:"ip"`
	RequestID  string          `json:"request_id"`
	Requests   int64           `json:"requests"`
	Details    json.RawMessage `json:"details"`
}

func (p *Pages) routePeople() {
	r := p.router
	r.Get("/users", p.page(pageOf(p, list[user]{
		title: "Users", empty: "There are none.", api: "/v1/users",
		columns: columns("Name", "Full name", "State", "Roles", "Since"),
		row: func(u user) []cell {
			return []cell{
				to(u.Name, userURL(u.UserID)), text(u.FullName), u.state(), text(strings.Join(u.Roles, ", ")),
				p.instant(u.CreatedAt),
			}
		},
	})))
	r.Get("/users/{user_id}", p.page(p.user))
	r.Get("/sessions", p.page(p.sessions))
	r.Get("/audit", p.page(pageOf(p, list[auditEvent]{
		title: "Audit trail", empty: "Nothing was told yet.", api: "/v1/auth-events",
		intro: "Who changed people, sessions and tokens, who asked for something that changes data, and who was refused.",
		filters: []filter{
			{name: "kind", label: "What", kind: "search", help: "Such as request_refused."},
		},
		columns: columns("When", "What", "Who", "To whom", "From", "#Requests", "Details"),
		row: func(e auditEvent) []cell {
			return []cell{
				p.instant(e.OccurredAt), text(words(e.Kind)),
				{Text: e.ActorName, Note: e.Actor},
				text(e.TargetName), text(e.IP),
				count(e.Requests),
				{Text: string(e.Details), Note: e.RequestID},
			}
		},
	})))
	p.offer(action{
		name: "end-session", label: "End it", scope: "self", method: http.MethodDelete, bare: true,
		path: "/v1/sessions/{session_id}", done: "The session has ended.", explain: "Whoever uses it is logged out at once.",
	}, action{
		name: "end-user-session", label: "End it", scope: "users:write", method: http.MethodDelete, bare: true,
		path: "/v1/users/{user_id}/sessions/{session_id}", done: "The session has ended.",
		explain: "Whoever uses it is logged out at once.",
	}, action{
		name: "disable-user", label: "Disable the user", scope: "users:write", method: http.MethodPatch, danger: true,
		path: "/v1/users/{user_id}", done: "The user is disabled.", explain: "Ends all sessions and refuses every login.",
		says: map[string]any{"disabled": true},
	}, action{
		name: "enable-user", label: "Enable the user", scope: "users:write", method: http.MethodPatch,
		path: "/v1/users/{user_id}", done: "The user may log in again.", explain: "Lets the user log in again.",
		says: map[string]any{"disabled": false},
	})
}

func userURL(id int64) string { return Root + "/users/" + strconv.FormatInt(id, 10) }

func (u *user) state() cell {
	if u.Disabled {
		return state("disabled")
	}
	return state("active")
}

var sessionColumns = columns("From", "Browser", "Opened", "Last seen", "Ends")

func (p *Pages) sessionRow(s userSession) []cell {
	from := text(s.IP)
	if s.Current {
		from.Note = "this one"
	}
	return []cell{from, text(s.UserAgent), p.instant(s.CreatedAt), p.instant(s.LastSeenAt), p.instant(s.ExpiresAt)}
}

// user shows a user and his sessions.
func (p *Pages) user(r *http.Request, v *visitor) (*view, error) {
	id := chi.URLParam(r, "user_id")
	path := "/v1/users/" + url.PathEscape(id)
	u, err := get[user](p, r, path, nil)
	if err != nil {
		return nil, err
	}
	sessions, err := get[page[userSession]](p, r, path+"/sessions", nil)
	if err != nil {
		return nil, err
	}
	s := section{Title: "Sessions", Table: table{
		Columns: sessionColumns, Rows: rowsOf(sessions.Data, p.sessionRow), Empty: "None is open.",
	}}
	for _, open := range sessions.Data {
		s.Forms = append(s.Forms,
			p.forms(v, []hidden{{"user_id", id}, {"session_id", strconv.FormatInt(open.SessionID, 10)}}, "end-user-session")...)
	}
	shown := &detail{State: u.state(), Lead: u.FullName, Sections: []section{s}, Facts: factsOf(
		fact{"Roles", text(strings.Join(u.Roles, ", "))}, fact{"Since", p.instant(u.CreatedAt)},
	)}
	act := "disable-user"
	if u.Disabled {
		act = "enable-user"
	}
	shown.Forms = p.forms(v, []hidden{{"user_id", id}}, act)
	return &view{Template: "detail.html", Title: u.Name, Body: shown, Crumbs: []link{{"Users", Root + "/users"}}}, nil
}

// sessions are one's own.
func (p *Pages) sessions(r *http.Request, v *visitor) (*view, error) {
	own, err := get[page[userSession]](p, r, "/v1/sessions", nil)
	if err != nil {
		return nil, err
	}
	shown := &detail{Lead: "You are logged in as " + v.Name + "."}
	for _, s := range own.Data {
		one := section{
			Title: "From " + s.IP, Table: table{Columns: sessionColumns, Rows: [][]cell{p.sessionRow(s)}},
		}
		if !s.Current {
			one.Forms = p.forms(v, []hidden{{"session_id", strconv.FormatInt(s.SessionID, 10)}}, "end-session")
		}
		shown.Sections = append(shown.Sections, one)
	}
	return &view{Template: "detail.html", Title: "My sessions", Body: shown}, nil
}
