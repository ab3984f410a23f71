package ops

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
)

// action is something that a visitor can do: one request to the API, made of a form
// that also says what it leads to, and so is its own confirmation.
type action struct {
	name    string // in the address, and its own for ever
	label   string // on the button
	explain string // what it leads to
	done    string // said when it is done
	scope   string // that it takes
	danger  bool   // It cannot simply be done the other way round.
	method  string // of the request; POST where it is empty
	path    string // of the operation; what is in braces comes from the form
	keyed   bool   // The operation takes an Idempotency-Key.
	fields  []field
	bare    bool           // The operation takes no body.
	says    map[string]any // what the body says besides the fields

	// next is where to go then, by the answer; otherwise back to where the form was.
	next func(*answer) string
}

// field is a field of a form, and of the request's body.
type field struct {
	name     string
	label    string
	kind     string // text, area, date, cents, number, yes, or select
	options  []string
	optional bool
	help     string
	usual    string // what it holds at first
}

// form is an action on a page.
type form struct {
	Name, Label, Explain string
	Danger               bool
	Fields               []fieldView
	Hidden               []hidden
	Key                  string // the Idempotency-Key: sending the form twice does it once
	Back                 string
}

type fieldView struct {
	ID, Name, Label, Kind, Value, Help, Problem string
	Required                                    bool
	Options                                     []optionView
}

type hidden struct{ Name, Value string }

// offer adds actions to those there are.
func (p *Pages) offer(actions ...action) {
	for _, a := range actions {
		if a.method == "" {
			a.method = http.MethodPost
		}
		p.actions[a.name] = &a
	}
}

// forms are the forms of those of the named actions that the visitor may do. ids say
// to what: the values for the braces in their paths, in the order of its pairs.
func (p *Pages) forms(v *visitor, ids []hidden, names ...string) []form {
	var forms []form
	for _, name := range names {
		if did := p.actions[name]; v.may(did.scope) {
			f := did.form(ids, "", nil, nil)
			f.Back = v.here
			forms = append(forms, f)
		}
	}
	return forms
}

// form is the action's form, anew or as it was sent.
func (a *action) form(ids []hidden, key string, sent url.Values, refused *refusal) form {
	if key == "" && a.keyed {
		key = uuid.Must(uuid.NewV7()).String()
	}
	f := form{Name: a.name, Label: a.label, Explain: a.explain, Danger: a.danger, Hidden: ids, Key: key}
	var suffix strings.Builder
	for _, id := range ids {
		suffix.WriteString("-" + id.Value)
	}
	for _, of := range a.fields {
		shown := fieldView{
			ID: a.name + suffix.String() + "-" + of.name, Name: of.name, Label: of.label, Kind: of.kind,
			Value: of.usual, Help: of.help,
			Required: !of.optional && of.kind != "yes", Problem: refused.of(of.name),
		}
		if sent != nil {
			shown.Value = sent.Get(of.name)
		}
		if of.optional && of.kind == "select" {
			shown.Options = append(shown.Options, optionView{Text: "–"})
		}
		for _, option := range of.options {
			shown.Options = append(shown.Options,
				optionView{Value: option, Text: initial(words(option)), Selected: option == shown.Value})
		}
		f.Fields = append(f.Fields, shown)
	}
	return f
}

// of is what the API found to be the matter with a field of the body.
func (r *refusal) of(name string) string {
	if r == nil {
		return ""
	}
	for _, f := range r.Faults {
		if f.Pointer == "/"+name {
			return f.Detail
		}
	}
	return ""
}

func (p *Pages) routeActions() {
	p.router.Get("/do/{action}", p.page(p.showAction))
	p.router.Post("/do/{action}", p.do)
}

// actionPage is a form on a page of its own.
type actionPage struct {
	Form    form
	Refused *refusal
	Others  []fault // that belong to none of the form's fields
}

// showAction shows the form by itself, for links and for whoever comes back to it.
func (p *Pages) showAction(r *http.Request, v *visitor) (*view, error) {
	a := p.actions[chi.URLParam(r, "action")]
	if a == nil {
		return nil, noPage()
	}
	if !v.may(a.scope) {
		return nil, &refusal{Status: http.StatusForbidden, Detail: "This takes the scope " + a.scope + ", which you lack."}
	}
	shown := a.form(a.ids(r.URL.Query()), "", nil, nil)
	shown.Back = safeNext(r.URL.Query().Get("back"))
	return &view{Template: "action.html", Title: a.label, Body: actionPage{Form: shown}}, nil
}

func noPage() *refusal {
	return &refusal{Status: http.StatusNotFound, Detail: "There is no page at this address."}
}

// braces are the parts of a path that a form fills in.
var braces = regexp.MustCompile(`\{([a-z_]+)\}`)

// ids are the hidden fields of a form by which the path is made.
func (a *action) ids(sent url.Values) []hidden {
	var ids []hidden
	for _, part := range braces.FindAllStringSubmatch(a.path, -1) {
		ids = append(ids, hidden{Name: part[1], Value: sent.Get(part[1])})
	}
	return ids
}

// target is the operation's path.
func (a *action) target(sent url.Values) string {
	return braces.ReplaceAllStringFunc(a.path, func(part string) string {
		return url.PathEscape(sent.Get(strings.Trim(part, "{}")))
	})
}

// do does what a form asks for.
func (p *Pages) do(w http.ResponseWriter, r *http.Request) {
	a := p.actions[chi.URLParam(r, "action")]
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil || a == nil {
		p.notFound(w, r)
		return
	}
	sent := r.PostForm
	body, wrong := a.body(sent)
	var got *answer
	if wrong == nil {
		header := http.Header{}
		if a.keyed {
			header.Set("Idempotency-Key", strconv.Quote(sent.Get("idempotency_key")))
		}
		if a.bare {
			body = nil
		}
		var err error
		got, err = p.call(r, a.method, a.target(sent), body, header)
		if err == nil {
			http.Redirect(w, r, a.goOn(got, sent), http.StatusSeeOther)
			return
		}
		if refused, ok := errors.AsType[*refusal](err); ok && refused.Status != http.StatusUnauthorized {
			wrong = refused
		} else {
			p.fail(w, r, nil, err)
			return
		}
	}
	p.page(func(*http.Request, *visitor) (*view, error) {
		shown := a.form(a.ids(sent), sent.Get("idempotency_key"), sent, wrong)
		shown.Back = safeNext(sent.Get("back"))
		return &view{Template: "action.html", Title: a.label, Status: wrong.Status, Body: actionPage{
			Form: shown, Refused: wrong, Others: a.others(wrong),
		}}, nil
	})(w, r)
}

// others are the faults that are said of none of the form's fields.
func (a *action) others(refused *refusal) []fault {
	return slices.DeleteFunc(slices.Clone(refused.Faults), func(f fault) bool {
		return slices.ContainsFunc(a.fields, func(of field) bool { return f.Pointer == "/"+of.name })
	})
}

// goOn is where the visitor is taken when it is done.
func (a *action) goOn(got *answer, sent url.Values) string {
	target := safeNext(sent.Get("back"))
	if a.next != nil {
		if next := a.next(got); next != "" {
			target = next
		}
	}
	address, err := url.Parse(target)
	if err != nil {
		return Root + "/"
	}
	query := address.Query()
	query.Set("done", a.name)
	address.RawQuery = query.Encode()
	return address.String()
}

// body is the request's body, of the form's fields. Where one cannot be read, it says
// which, as the API would.
func (a *action) body(sent url.Values) (map[string]any, *refusal) {
	body := map[string]any{}
	maps.Copy(body, a.says)
	for _, f := range a.fields {
		value := strings.TrimSpace(sent.Get(f.name))
		if f.kind == "yes" {
			body[f.name] = value != ""
			continue
		}
		if value == "" {
			if !f.optional {
				return nil, badField(f, "is required")
			}
			continue
		}
		read, err := f.read(value)
		if err != nil {
			return nil, badField(f, err.Error())
		}
		body[f.name] = read
	}
	return body, nil
}

func badField(f field, detail string) *refusal {
	return &refusal{
		Status: http.StatusUnprocessableEntity, Code: "invalid_request", Detail: "Look at the field that is marked.",
		Faults: []fault{{Pointer: "/" + f.name, Detail: detail}},
	}
}

var (
	errAmount = errors.New("must be an amount such as 1,234.56")
	errNumber = errors.New("must be a whole number")
)

// amount is dollars and cents, with or without commas between thousands.
var amount = regexp.MustCompile(`^\$?([0-9]{1,3}(?:,[0-9]{3}){0,4}|[0-9]{1,13})(?:\.([0-9]{2}))?$`)

// read reads what was typed into the field.
func (f field) read(value string) (any, error) {
	switch f.kind {
	case "cents":
		parts := amount.FindStringSubmatch(value)
		if parts == nil {
			return nil, errAmount
		}
		if parts[2] == "" {
			parts[2] = "00"
		}
		cents, err := strconv.ParseInt(strings.ReplaceAll(parts[1], ",", "")+parts[2], 10, 64)
		if err != nil {
			return nil, errAmount
		}
		return cents, nil
	case "number":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, errNumber
		}
		return n, nil
	default:
		return value, nil
	}
}

// toRun is next for actions that start a run: its page shows how far it has come.
func toRun(a *answer) string {
	location := a.header.Get("Location")
	if id, ok := strings.CutPrefix(location, "/v1/runs/"); ok {
		return runURL(id)
	}
	return ""
}
