package ops

import (
	"errors"
	"net/http"
	"strings"
)

// maxForm bounds a form, which is a few short fields.
const maxForm = 64 << 10

// loginPage is what the page of the login shows.
type loginPage struct {
	Next    string
	Name    string
	Problem string
}

// loginForm asks for name and password.
func (p *Pages) loginForm(w http.ResponseWriter, r *http.Request) {
	p.showLogin(w, r, http.StatusOK, loginPage{Next: safeNext(r.URL.Query().Get("next"))})
}

func (p *Pages) showLogin(w http.ResponseWriter, r *http.Request, status int, body loginPage) {
	p.render(w, r, nil, &view{Template: "login.html", Title: "Log in", Status: status, Body: body})
}

// login opens a session, whose token the browser keeps in a cookie.
func (p *Pages) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.showLogin(w, r, http.StatusBadRequest, loginPage{Problem: "The form could not be read. Try again."})
		return
	}
	body := loginPage{Next: safeNext(r.PostFormValue("next")), Name: r.PostFormValue("name")}
	a, err := p.call(r, http.MethodPost, "/v1/sessions", map[string]any{
		"name": body.Name, "password": r.PostFormValue("password"), "cookie": true,
	}, nil)
	if err != nil {
		refused, ok := errors.AsType[*refusal](err)
		if !ok {
			panic(err)
		}
		body.Problem = refused.Detail
		if refused.Status == http.StatusUnprocessableEntity {
			body.Problem = "Give your name and your password."
		}
		if refused.retryAfter != "" {
			body.Problem += " Try again in " + refused.retryAfter + " seconds."
			w.Header().Set("Retry-After", refused.retryAfter)
		}
		p.showLogin(w, r, refused.Status, body)
		return
	}
	w.Header()["Set-Cookie"] = a.header["Set-Cookie"]
	http.Redirect(w, r, body.Next, http.StatusSeeOther)
}

// logout ends the session.
func (p *Pages) logout(w http.ResponseWriter, r *http.Request) {
	a, err := p.call(r, http.MethodDelete, "/v1/sessions/current", nil, nil)
	refused, isRefusal := errors.AsType[*refusal](err)
	switch {
	case err == nil:
		w.Header()["Set-Cookie"] = a.header["Set-Cookie"]
	case !isRefusal:
		panic(err)
	case refused.Status != http.StatusUnauthorized: // Without a session there is none to end.
		p.fail(w, r, nil, err)
		return
	}
	http.Redirect(w, r, Root+"/login", http.StatusSeeOther)
}

// safeNext is where to go after a login: a page of ours, whatever the address says.
func safeNext(next string) string {
	if strings.HasPrefix(next, Root+"/") && !strings.ContainsAny(next, "\\\r\n\x00") && !strings.Contains(next, "//") {
		return next
	}
	return Root + "/"
}
