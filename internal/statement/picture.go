package statement

import (
	"fmt"

	"loanserve/mortgage"
)

// balancePicture draws the balance that is projected against the one that is
// needed, and last year's in the same months.
func (s *Statement) balancePicture() Picture {
	p := s.projection()
	pic := Picture{Title: "Balance at the end of each month", Months: []string{"Start"}}
	target := Series{Name: "Balance that is needed", Values: []mortgage.Cents{p.RequiredStart}}
	projected := Series{Name: "Balance we project", Values: []mortgage.Cents{p.StartBalance + s.firstDeposit()}}
	for _, m := range p.Months {
		pic.Months = append(pic.Months, shortMonth(m.MonthOn)[:3])
		target.Values = append(target.Values, m.Target)
		projected.Values = append(projected.Values, m.Projected+s.firstDeposit())
	}
	pic.Series = []Series{target, projected}
	pic.About = fmt.Sprintf("The balance that is needed begins at %s and is lowest at %s at the end of %s. The balance "+
		"that we project begins at %s and ends at %s. The table below has every number.", money(p.RequiredStart),
		money(p.LowTarget), month(p.LowMonthOn), money(projected.Values[0]), money(projected.Values[len(p.Months)]))
	if last, there := s.lastYear(p.Months[0].MonthOn); there {
		pic.Series = append(pic.Series, last)
	}
	return pic
}

// lastYear returns the actual balances of the twelve months before the coming
// year, each in the place of the month that follows it a year later.
func (s *Statement) lastYear(start mortgage.Date) (Series, bool) {
	if s.Annual == nil {
		return Series{}, false
	}
	last := Series{Name: "Actual, a year earlier"}
	for i := range 12 {
		on, err := start.AddMonths(i-12, 1)
		if err != nil {
			return Series{}, false
		}
		for _, m := range s.Annual.History {
			if m.MonthOn != on {
				continue
			}
			if len(last.Values) == 0 {
				last.First = i + 1
				if m == s.Annual.History[0] {
					last.First, last.Values = i, append(last.Values, s.Annual.Opening)
				}
			}
			last.Values = append(last.Values, m.ActualBalance)
		}
	}
	return last, len(last.Values) > 1
}

// plot is where the lines of a picture lie, in tenths of a point. All of it is
// whole numbers, so that every machine draws the same.
type plot struct {
	width, height            int
	left, right, top, bottom int // margins
	low, high, step          mortgage.Cents
	points                   int
}

// newPlot fits a picture into a size.
func newPlot(p *Picture, width, height int) plot {
	g := plot{width: width, height: height, left: 720, right: 120, top: 60, bottom: 220, points: len(p.Months)}
	var low, high mortgage.Cents // Zero is always seen.
	for _, s := range p.Series {
		for _, v := range s.Values {
			low, high = min(low, v), max(high, v)
		}
	}
	g.step = niceStep(high - low)
	g.low = -((-low + g.step - 1) / g.step) * g.step
	g.high = max((high+g.step-1)/g.step*g.step, g.low+g.step)
	return g
}

// niceStep returns the distance of grid lines for a range: 1, 2 or 5 times a power
// of ten, so that there are about five.
func niceStep(span mortgage.Cents) mortgage.Cents {
	step := mortgage.Cents(1_00)
	for ; ; step *= 10 {
		for _, factor := range [...]mortgage.Cents{1, 2, 5} {
			if span <= 5*step*factor {
				return step * factor
			}
		}
	}
}

// order is that in which the series are drawn: the second on top, whose dashes let
// the first be seen where the two are equal.
func order(p *Picture) []int { return append([]int{2}[:len(p.Series)-2:1], 0, 1) }

// x is where a month lies, and y where an amount does.
func (g *plot) x(i int) int {
	return g.left + i*(g.width-g.left-g.right)/max(g.points-1, 1)
}

func (g *plot) y(c mortgage.Cents) int {
	room := g.height - g.top - g.bottom
	return g.top + int(int64(g.high-c)*int64(room)/int64(g.high-g.low))
}

// ticks are the amounts that have grid lines.
func (g *plot) ticks() []mortgage.Cents {
	var ticks []mortgage.Cents
	for c := g.low; c <= g.high; c += g.step {
		ticks = append(ticks, c)
	}
	return ticks
}

// dollars writes a tick, which is whole dollars.
func dollars(c mortgage.Cents) string {
	text := money(c)
	return text[:len(text)-len(".00")]
}
