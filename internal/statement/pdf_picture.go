package statement

// pictureHeight is how high a picture is with its legend, in points.
const (
	pictureHeight = 172.0
	legendHeight  = 18.0
	sizeLegend    = 8.0
)

// dashes tell the lines of a picture apart without color.
var dashes = [...][]float64{{}, {6, 3}, {1.5, 2.5}}

// picture draws the picture that svg draws.
func (d *drawing) picture(p *Picture) {
	d.room(pictureHeight + sizeText*leading + 8)
	d.write(p.Title, "B", sizeText, 0, ink)
	d.y += 4
	g := newPlot(p, textWidth*10, (pictureHeight-legendHeight)*10)
	g.left, g.bottom, g.right = 560, 170, 100
	x := func(i int) float64 { return margin + float64(g.x(i))/10 }
	y := func(tenths int) float64 { return d.y + legendHeight + float64(tenths)/10 }

	d.font("", sizeLegend, ink)
	for i, s := range p.Series {
		at := x(0) + float64(i)*150
		d.series(i)
		d.Line(at, d.y+5, at+26, d.y+5)
		d.SetDashPattern(nil, 0)
		d.at(at+31, d.y, 120, 10, s.Name, "L")
	}
	for _, c := range g.ticks() {
		d.stroke(rule, 0.6)
		if c == 0 {
			d.stroke(ink, 0.8)
		}
		at := y(g.y(c))
		d.Line(x(0), at, x(g.points-1), at)
		d.at(margin, at-5, float64(g.left)/10-6, 10, dollars(c), "R")
	}
	for i, m := range p.Months {
		d.at(x(i)-20, y(g.height-g.bottom)+4, 40, 10, m, "C")
	}
	for _, i := range order(p) {
		s := &p.Series[i]
		d.series(i)
		for k, v := range s.Values {
			if k == 0 {
				d.MoveTo(x(s.First), y(g.y(v)))
				continue
			}
			d.LineTo(x(s.First+k), y(g.y(v)))
		}
		d.DrawPath("D")
	}
	d.SetDashPattern(nil, 0)
	d.y += pictureHeight + 8
}

func (d *drawing) series(i int) {
	d.stroke(lines[i], 1.8)
	d.SetDashPattern(dashes[i], 0)
}
