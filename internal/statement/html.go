package statement

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the template and the style
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	styleCSS string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
		// Both are this program's own, and svg escapes what it is given.
		"style": func() template.CSS { return template.CSS("\n" + styleCSS) }, //nolint:gosec // See above.
		"class": func(c Column) string {
			switch {
			case c.Number:
				return "number"
			case c.Whole:
				return "whole"
			default:
				return ""
			}
		},
		"svg": func(p *Picture) template.HTML { return template.HTML(svg(p)) }, //nolint:gosec // See above.
	}).Parse(pageHTML))
)

// HTML writes the statement as one page that loads nothing and runs nothing: fit to
// be read on a screen, by a screen reader, and to be printed.
func (s *Statement) HTML() ([]byte, error) {
	page, err := s.Page()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, page); err != nil {
		return nil, fmt.Errorf("write HTML: %w", err)
	}
	return out.Bytes(), nil
}

// ContentSecurityPolicy returns the policy under which a browser may show a page
// that HTML wrote: its own style, which is named by its hash, and nothing else.
func ContentSecurityPolicy(html []byte) string {
	style := ""
	if _, rest, found := strings.Cut(string(html), "<style>"); found {
		if content, _, closed := strings.Cut(rest, "</style>"); closed {
			hash := sha256.Sum256([]byte(content))
			style = " style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "';"
		}
	}
	return "default-src 'none';" + style + " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
}
