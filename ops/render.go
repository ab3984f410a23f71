package ops

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// visitor is who is logged in.
type visitor struct {
	UserID    int64    `json:"user_id"`
	SessionID int64    `json:"session_id"`
	Principal string   `json:"principal"`
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes"`

	here string // the page that he looks at
}

// may says whether he has the scope; everybody has none.
func (v *visitor) may(scope string) bool { return scope == "" || slices.Contains(v.Scopes, scope) }

// view is what a page shows.
type view struct {
	Template string // of its middle
	Title    string
	Body     any
	Status   int    // of the answer; 200 where it is 0
	Crumbs   []link // the way to it from its place in the menu

	Visitor *visitor
	Menu    []menuGroup
	Notice  string // what was just done
	Zone    string // in which instants are shown
}

// link is a word that leads somewhere.
type link struct{ Text, URL string }

type menuGroup struct {
	Name  string
	Items []menuItem
}

type menuItem struct {
	Text, URL string
	scope     string
	Current   bool
}

// menu is what there is to see. Each shows to those who may read it.
var menu = []menuGroup{
	{"Servicing", []menuItem{
		{Text: "Overview", URL: Root + "/"},
		{Text: "Loans", URL: Root + "/loans", scope: "loans:read"},
		{Text: "Payments", URL: Root + "/payments", scope: "payments:read"},
		{Text: "Reversals", URL: Root + "/reversals", scope: "payments:read"},
		{Text: "Files", URL: Root + "/batches", scope: "payments:read"},
		{Text: "Exceptions", URL: Root + "/exceptions", scope: "payments:read"},
		{Text: "Changes", URL: Root + "/changes", scope: "loans:read"},
		{Text: "Analyses", URL: Root + "/analyses", scope: "escrow:read"},
		{Text: "Disbursements", URL: Root + "/disbursements", scope: "escrow:read"},
	}},
	{"Operation", []menuItem{
		{Text: "Runs", URL: Root + "/runs", scope: "runs:read"},
		{Text: "Queues", URL: Root + "/queues", scope: "jobs:read"},
		{Text: "Backups", URL: Root + "/backups", scope: "backups:read"},
		{Text: "Findings", URL: Root + "/findings", scope: "integrity:read"},
	}},
	{"People", []menuItem{
		{Text: "Users", URL: Root + "/users", scope: "users:read"},
		{Text: "Audit trail", URL: Root + "/audit", scope: "audit:read"},
		{Text: "My sessions", URL: Root + "/sessions"},
	}},
}

// menuFor is the menu of a visitor who looks at the path.
func menuFor(v *visitor, path string) []menuGroup {
	var shown []menuGroup
	for _, group := range menu {
		of := menuGroup{Name: group.Name}
		for _, item := range group.Items {
			if v.may(item.scope) {
				item.Current = path == item.URL || item.URL != Root+"/" && strings.HasPrefix(path, item.URL+"/")
				of.Items = append(of.Items, item)
			}
		}
		if len(of.Items) > 0 {
			shown = append(shown, of)
		}
	}
	return shown
}

// handler makes a page for a visitor.
type handler func(r *http.Request, v *visitor) (*view, error)

// page is the handler of a page that is for those who are logged in.
func (p *Pages) page(make handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := get[visitor](p, r, "/v1/sessions/current", nil)
		v.here = withQuery(r, "done", "")
		var shown *view
		if err == nil {
			shown, err = make(r, &v)
		}
		if err != nil {
			p.fail(w, r, &v, err)
			return
		}
		if body, ok := shown.Body.(interface{ unlink(v *visitor) }); ok {
			body.unlink(&v)
		}
		p.render(w, r, &v, shown)
	}
}

// render writes a page.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, v *visitor, shown *view) {
	shown.Visitor, shown.Zone = v, p.zone.String()
	if v != nil && v.UserID != 0 {
		shown.Menu = menuFor(v, r.URL.Path)
	}
	if shown.Notice == "" {
		if did := p.actions[r.URL.Query().Get("done")]; did != nil {
			shown.Notice = did.done
		}
	}
	var text bytes.Buffer
	if err := p.templates.ExecuteTemplate(&text, "layout.html", shown); err != nil {
		panic(err) // A mistake of ours: logged, counted and answered as any other.
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if shown.Status != 0 {
		w.WriteHeader(shown.Status)
	}
	_, _ = w.Write(text.Bytes()) // Who hung up needs no answer.
}

// middle is what the layout puts into its middle: the page's own template.
func (p *Pages) middle(shown *view) (htmlText, error) {
	var text bytes.Buffer
	err := p.templates.ExecuteTemplate(&text, shown.Template, shown)
	return htmlText(text.String()), err
}

// fail answers with why there is no page. Who is not logged in is asked to be, and
// comes back then.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, v *visitor, err error) {
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		panic(err)
	}
	if refused.Status == http.StatusUnauthorized {
		p.toLogin(w, r)
		return
	}
	p.render(w, r, v, &view{Template: "refused.html", Title: titleOf(refused), Status: refused.Status, Body: refused})
}

func titleOf(refused *refusal) string {
	switch refused.Status {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusForbidden:
		return "Not yours to see"
	case http.StatusServiceUnavailable:
		return "Not available at the moment"
	default:
		return "Refused"
	}
}

// toLogin asks for a login, after which the page is shown that was wanted. A part of
// a page that is kept up to date has the whole page go there.
func (p *Pages) toLogin(w http.ResponseWriter, r *http.Request) {
	target := Root + "/login"
	if r.Method == http.MethodGet && r.URL.Path != Root+"/" {
		target += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	if r.Header.Get("Hx-Request") != "" {
		w.Header().Set("Hx-Redirect", Root+"/login")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// notFound answers for addresses without a page.
func (p *Pages) notFound(w http.ResponseWriter, r *http.Request) {
	p.page(func(*http.Request, *visitor) (*view, error) {
		return nil, &refusal{Status: http.StatusNotFound, Detail: "There is no page at this address."}
	})(w, r)
}
