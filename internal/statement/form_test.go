package statement_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"loanserve/internal/statement"
	"loanserve/mortgage"
)

var (
	pdfStream = regexp.MustCompile(`(?s)stream\r?\n(.*?)\r?\nendstream`)
	pdfShow   = regexp.MustCompile(`(?s)\(((?:[^()\\]|\\.)*)\)\s*Tj`)
	pdfEscape = regexp.MustCompile(`(?s)\\(.)`)
)

// pdfText returns the lines of text of a PDF that this package wrote, in the order
// in which they are drawn. Their bytes are UTF-16.
func pdfText(t *testing.T, pdf []byte) []string {
	t.Helper()

	var lines []string
	for _, stream := range pdfStream.FindAllSubmatch(pdf, -1) {
		r, err := zlib.NewReader(bytes.NewReader(stream[1]))
		if err != nil {
			continue // Not compressed: no page.
		}
		content, err := io.ReadAll(r)
		if err != nil {
			continue
		}
		for _, show := range pdfShow.FindAllSubmatch(content, -1) {
			raw := pdfEscape.ReplaceAllFunc(show[1], func(b []byte) []byte {
				if b[1] == 'r' {
					return []byte{'\r'}
				}
				return b[1:]
			})
			units := make([]uint16, 0, len(raw)/2)
			for i := 0; i+1 < len(raw); i += 2 {
				units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
			}
			lines = append(lines, string(utf16.Decode(units)))
		}
	}
	return lines
}

// squeeze takes out white space, so that it does not matter where lines are broken.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// HTML and PDF both say all that the page says.
func TestBothFormsSayAllOfIt(t *testing.T) {
	t.Parallel()

	unescape := strings.NewReplacer("&#39;", "'", "&amp;", "&", "&#34;", `"`)
	tag := regexp.MustCompile(`<[^>]*>`)
	for name, s := range samples(t) {
		html, err := s.HTML()
		if err != nil {
			t.Fatal(err)
		}
		pdf, err := s.PDF()
		if err != nil {
			t.Fatal(err)
		}
		inHTML := squeeze(unescape.Replace(tag.ReplaceAllString(string(html), " ")))
		lines := pdfText(t, pdf)
		inPDF := squeeze(strings.Join(lines, " "))
		for _, want := range words(t, s) {
			if !strings.Contains(inHTML, squeeze(want)) {
				t.Errorf("%s: the HTML does not say %q", name, want)
			}
			if !strings.Contains(inPDF, squeeze(want)) {
				t.Errorf("%s: the PDF does not say %q in %q", name, want, lines)
			}
		}
	}
}

// The page runs nothing, loads nothing, and what is put into it stays text.
func TestHTMLIsSelfContained(t *testing.T) {
	t.Parallel()

	s := year(t, 850_00, func(y *mortgage.EscrowYear) {
		y.Actual[0].Payee = `<script>alert(1)</script>`
	})
	s.Borrowers = []string{`"><img src=x onerror=alert(1)>`}
	html, err := s.HTML()
	if err != nil {
		t.Fatal(err)
	}
	page := string(html)
	for _, bad := range []string{
		"<script", "<img", "<link", "<iframe", ` src="`, "href=", "url(", "@import", "http:", "https:", " style=",
	} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{
		`lang="en-US"`, `role="img" aria-label="`, `<th scope="col"`, `<th scope="row"`, "<caption>", "<h1>", "@page",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, element := range []string{"table", "section", "tr", "td", "th", "svg", "text", "li", "ul", "p", "figure"} {
		open := len(regexp.MustCompile("<"+element+`[ >]`).FindAllString(page, -1))
		if closed := strings.Count(page, "</"+element+">"); open != closed {
			t.Errorf("%d <%s> and %d </%s>", open, element, closed, element)
		}
	}
}

// The policy that a page is served with lets its own style through, by hash.
func TestContentSecurityPolicy(t *testing.T) {
	t.Parallel()

	html, err := initial(t).HTML()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(html), "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	hash := sha256.Sum256([]byte(style))
	policy := statement.ContentSecurityPolicy(html)
	want := fmt.Sprintf("style-src 'sha256-%s';", base64.StdEncoding.EncodeToString(hash[:]))
	if !strings.Contains(policy, want) || !strings.Contains(policy, "default-src 'none';") || len(style) < 500 {
		t.Errorf("policy %q; want %q", policy, want)
	}
	if other := statement.ContentSecurityPolicy([]byte("<p>")); strings.Contains(other, "style-src") {
		t.Errorf("policy %q of a page without a style", other)
	}
}

// A long account is written on as many pages as it needs: no table loses a row, and
// the largest amounts and the longest names fit.
func TestPDFOfALongAccount(t *testing.T) {
	t.Parallel()

	r := appendixE(99_999_999_99)
	r.Items = nil
	for i := range 40 {
		one := bill("2026-07-25", 9_999_999_00+mortgage.Cents(i))
		r.Items = append(r.Items, mortgage.EscrowItem{
			Kind: mortgage.EscrowEarthquakeInsurance, EveryMonths: 6, Bills: []mortgage.EscrowBill{one},
			Payee: fmt.Sprintf("%d %s %s", i, strings.Repeat("Unabbreviated ", 12), strings.Repeat("W", 60)),
		})
	}
	a := analyze(t, &r)
	s := blank(&r, a)
	y := mortgage.EscrowYear{
		Analysis: a, Request: &r, FromOn: date("2025-07-01"), ToOn: date("2026-06-30"), Opening: r.Account.Balance,
		Projected: a.Scheduled(r), CycleMonths: 12,
	}
	content, err := y.AnnualStatement()
	if err != nil {
		t.Fatal(err)
	}
	s.Annual = &content
	pdf, err := s.PDF()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(pdfText(t, pdf), "\n")
	pages, heads := bytes.Count(pdf, []byte("/Type /Page\n")), strings.Count(text, "How we know")
	if pages < 8 || heads < 3 {
		t.Errorf("%d pages, and the head of the bills %d times; want many, each with a head", pages, heads)
	}
	for i := range 40 {
		if want := fmt.Sprintf("$9,999,999.%02d", i); strings.Count(text, want) != 2 {
			t.Errorf("%q is there %d times; want twice", want, strings.Count(text, want))
		}
	}
}
