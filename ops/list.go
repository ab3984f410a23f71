package ops

import (
	"net/http"
	"net/url"
	"slices"
)

// filter narrows a list. Its name is the operation's parameter.
type filter struct {
	name    string
	label   string
	kind    string   // of the input: search, date, or select
	options []string // of a select
	usual   string   // what the operation takes where nothing is asked for; otherwise all
	help    string
}

// list is a page of a list of the API.
type list[T any] struct {
	title   string
	intro   string
	empty   string
	api     string // the path of the operation
	columns []column
	row     func(T) []cell
	filters []filter
	actions []string // that are offered above it
	size    int      // how many rows a page has; 50 where it is 0
}

// listPage is what the page of a list shows.
type listPage struct {
	Intro    string
	Filters  []filterView
	Filtered bool
	Table    table
	Next     string // the address of the next page
	First    string // the address of the first one, where this is not it
	Forms    []form
}

type filterView struct {
	Name, Label, Kind, Value, Help string
	All                            bool // Nothing asked for is everything.
	Options                        []optionView
}

type optionView struct {
	Value, Text string
	Selected    bool
}

// pageOf returns the handler that shows the list.
func pageOf[T any](p *Pages, l list[T]) handler {
	return func(r *http.Request, v *visitor) (*view, error) {
		asked := r.URL.Query()
		query := url.Values{"limit": {limitText(l.size)}}
		shown := &listPage{Intro: l.intro, Forms: p.forms(v, nil, l.actions...)}
		for _, f := range l.filters {
			value := asked.Get(f.name)
			if value != "" {
				query.Set(f.name, value)
				shown.Filtered = true
			}
			shown.Filters = append(shown.Filters, f.view(value))
		}
		if cursor := asked.Get("cursor"); cursor != "" {
			query.Set("cursor", cursor)
			shown.First = withQuery(r, "cursor", "")
		}
		rows, err := get[page[T]](p, r, l.api, query)
		if err != nil {
			return nil, err
		}
		if rows.NextCursor != "" {
			shown.Next = withQuery(r, "cursor", rows.NextCursor)
		}
		shown.Table = table{Caption: l.title, Columns: l.columns, Empty: l.empty}
		if shown.Filtered {
			shown.Table.Empty = "Nothing is like that."
		}
		for _, item := range rows.Data {
			shown.Table.Rows = append(shown.Table.Rows, l.row(item))
		}
		return &view{Template: "list.html", Title: l.title, Body: shown}, nil
	}
}

func (f filter) view(value string) filterView {
	if value == "" {
		value = f.usual
	}
	shown := filterView{Name: f.name, Label: f.label, Kind: f.kind, Value: value, Help: f.help, All: f.usual == ""}
	for _, option := range f.options {
		shown.Options = append(shown.Options,
			optionView{Value: option, Text: initial(words(option)), Selected: option == value})
	}
	if value != "" && f.kind == "select" && !slices.Contains(f.options, value) {
		shown.Options = append(shown.Options, optionView{Value: value, Text: value, Selected: true})
	}
	return shown
}

// withQuery is the address of the page with one parameter changed, and without what
// was said of a deed just done.
func withQuery(r *http.Request, name, value string) string {
	query := r.URL.Query()
	query.Del("done")
	query.Set(name, value)
	if value == "" {
		query.Del(name)
	}
	if len(query) == 0 {
		return r.URL.Path
	}
	return r.URL.Path + "?" + query.Encode()
}
