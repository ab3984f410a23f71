package statement

import (
	"fmt"
	"html"
	"strings"
)

// The size of a picture in a page, in tenths of its units.
const (
	svgWidth  = 7600
	svgHeight = 3000
	legendTop = 260 // what the legend takes above the plot
)

// svg draws a picture. Colors are in the style, and lines differ in their dashes as
// well, so that they can be told apart without color.
func svg(p *Picture) string {
	g := newPlot(p, svgWidth, svgHeight)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %s %s" role="img" aria-label="%s">`,
		tenths(svgWidth), tenths(svgHeight+legendTop), html.EscapeString(p.Title+". "+p.About))
	for i, s := range p.Series {
		x := g.left + i*2250
		fmt.Fprintf(&b, "\n"+`<line class="s%d" x1="%s" y1="12" x2="%s" y2="12"/><text x="%s" y="16.5">%s</text>`,
			i, tenths(x), tenths(x+360), tenths(x+430), html.EscapeString(s.Name))
	}
	for _, c := range g.ticks() {
		class, y := "grid", g.y(c)+legendTop
		if c == 0 {
			class = "zero"
		}
		fmt.Fprintf(&b, "\n"+`<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`,
			class, tenths(g.left), tenths(y), tenths(g.width-g.right), tenths(y))
		fmt.Fprintf(&b, `<text x="%s" y="%s" text-anchor="end">%s</text>`, tenths(g.left-80), tenths(y+45), dollars(c))
	}
	for i, m := range p.Months {
		fmt.Fprintf(&b, "\n"+`<text x="%s" y="%s" text-anchor="middle">%s</text>`,
			tenths(g.x(i)), tenths(g.height-g.bottom+180+legendTop), html.EscapeString(m))
	}
	for _, i := range order(p) {
		s := &p.Series[i]
		points := make([]string, len(s.Values))
		for k, v := range s.Values {
			points[k] = tenths(g.x(s.First+k)) + "," + tenths(g.y(v)+legendTop)
		}
		fmt.Fprintf(&b, "\n"+`<polyline class="s%d" points="%s"/>`, i, strings.Join(points, " "))
	}
	b.WriteString("\n</svg>")
	return b.String()
}

// tenths writes a length.
func tenths(n int) string {
	if n%10 == 0 {
		return fmt.Sprint(n / 10)
	}
	return fmt.Sprintf("%d.%d", n/10, n%10)
}
