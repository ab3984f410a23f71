package ops

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// detail is a page about one thing.
type detail struct {
	State    cell
	Lead     string // a sentence on what it is
	Poll     bool   // It is still moving: the page is kept up to date.
	Progress *progress
	Facts    []fact
	Sections []section
	Forms    []form
	Links    []link // to documents
}

// progress is how far a run has come.
type progress struct {
	Done, Total, Percent int64
	Text                 string
}

// fact is one value with its name.
type fact struct {
	Name string
	Cell cell
}

// section is a table of a page, or a picture with its table.
type section struct {
	Title string
	Intro string
	Table table
	Chart *chart
	More  link   // to the whole list
	Forms []form // what can be done about what it shows
}

// chart is a picture over time, as data that a script draws. Its table says the same.
type chart struct {
	Label string `json:"-"` // what it shows, for those who cannot see it
	Kind  string `json:"kind"`
	Unit  string `json:"unit"` // cents or count
	// X are days as seconds since 1970; Series has a value for each.
	X      []int64  `json:"x"`
	Series []series `json:"series"`
}

type series struct {
	Name   string  `json:"name"`
	Values []int64 `json:"values"`
}

// factsOf leaves out what has no value.
func factsOf(facts ...fact) []fact {
	kept := facts[:0]
	for _, f := range facts {
		if f.Cell.Text != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

// limitText is how many items of a list are asked for.
func limitText(n int) string {
	const usual = 50
	if n == 0 {
		n = usual
	}
	return strconv.Itoa(n)
}

// some reads the first items of a list of the API.
func some[T any](p *Pages, r *http.Request, path string, n int, query url.Values) (page[T], error) {
	asked := url.Values{"limit": {limitText(n)}}
	maps.Copy(asked, query)
	return get[page[T]](p, r, path, asked)
}

// rowsOf makes rows of items.
func rowsOf[T any](items []T, row func(T) []cell) [][]cell {
	rows := make([][]cell, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	return rows
}

// JSON is the picture for the script that draws it.
func (c *chart) JSON() (string, error) {
	text, err := json.Marshal(c)
	return string(text), err
}
