package ops

import "time"

// trendDays is how many days the trends show.
const trendDays = 30

// everyDay adds the days without payments up to the last one that there is.
func everyDay(days []dayOfPayments) []dayOfPayments {
	const day = 24 * 60 * 60
	found := map[int64]dayOfPayments{}
	for _, d := range days {
		found[daySeconds(d.DayOn)] = d
	}
	last := daySeconds(days[len(days)-1].DayOn)
	var all []dayOfPayments
	for at := last - (trendDays-1)*day; at <= last; at += day {
		d, ok := found[at]
		if !ok {
			d.DayOn = time.Unix(at, 0).UTC().Format(time.DateOnly)
		}
		all = append(all, d)
	}
	return all
}

// charts are the trends.
func (f *portfolio) charts() []section {
	if len(f.PaymentsByDay) == 0 {
		return nil
	}
	days := everyDay(f.PaymentsByDay)
	x, posted, cents := make([]int64, len(days)), make([]int64, len(days)), make([]int64, len(days))
	rejected := make([]int64, len(days))
	for i, d := range days {
		x[i], posted[i], cents[i], rejected[i] = daySeconds(d.DayOn), d.Posted, d.PostedCents, d.Rejected
	}
	byDay := table{
		Columns: columns("Day", "#Stored", "#Posted", "#Posted amount", "#Rejected", "#Reversed"),
		Rows: rowsOf(days, func(d dayOfPayments) []cell {
			return []cell{
				text(d.DayOn), count(d.Payments), count(d.Posted), money(d.PostedCents), count(d.Rejected), count(d.Reversed),
			}
		}),
	}
	return []section{{
		Title: "Money posted by day", Table: byDay, Chart: &chart{
			Label: "Amount of the payments that were posted, by day", Kind: "bars", Unit: "cents", X: x,
			Series: []series{{"Posted", cents}},
		},
	}, {
		Title: "Payments by day", Table: byDay, Chart: &chart{
			Label: "Payments that were posted and rejected, by day", Kind: "line", Unit: "count", X: x,
			Series: []series{{"Posted", posted}, {"Rejected", rejected}},
		},
	}}
}
