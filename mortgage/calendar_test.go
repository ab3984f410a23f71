package mortgage_test

import (
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

type goldenHolidays struct {
	Source   string `json:"source"`
	About    string `json:"about"`
	Holidays []struct {
		On       mortgage.Date `json:"on"`
		ClosedOn mortgage.Date `json:"closed_on"`
	} `json:"holidays"`
	OpenOn []mortgage.Date `json:"open_on"`
}

func TestBankHolidaysAsPublished(t *testing.T) {
	t.Parallel()

	var golden goldenHolidays
	readGolden(t, "fed_holidays.json", &golden)
	holiday, closed := map[mortgage.Date]bool{}, map[mortgage.Date]bool{}
	for _, h := range golden.Holidays {
		holiday[h.On] = true
		if !h.ClosedOn.IsZero() {
			holiday[h.ClosedOn], closed[h.ClosedOn] = true, true
		}
	}
	if len(golden.Holidays) != 3*11 {
		t.Fatalf("fed_holidays.json holds %d holidays; want eleven in each of three years", len(golden.Holidays))
	}

	// 2025-01-01 is a Wednesday.
	for d := day("2025-01-01"); d <= day("2027-12-31"); d++ {
		if got := mortgage.IsBankHoliday(d); got != holiday[d] {
			t.Errorf("IsBankHoliday(%s) = %t; the source says %t", d, got, holiday[d])
		}
		weekday := (d - day("2025-01-01") + 3) % 7 // Sunday is 0.
		open := weekday != 0 && weekday != 6 && !closed[d]
		if got := mortgage.IsBusinessDay(d); got != open {
			t.Errorf("IsBusinessDay(%s) = %t; the source says %t", d, got, open)
		}
	}
}

func TestBanksAreOpenOnTheFridayBeforeASaturdayHoliday(t *testing.T) {
	t.Parallel()

	var golden goldenHolidays
	readGolden(t, "fed_holidays.json", &golden)
	if len(golden.OpenOn) != 10 {
		t.Fatalf("fed_holidays.json holds %d days of open banks; want ten", len(golden.OpenOn))
	}
	for _, d := range golden.OpenOn {
		if !mortgage.IsBusinessDay(d) {
			t.Errorf("IsBusinessDay(%s) = false; the banks are open", d)
		}
	}
}

func TestHolidaysOfTheirYears(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		on          string
		bank, legal bool
	}{
		"Monday holidays are not spoken for before 1971":     {on: "1970-09-07"},
		"the first holiday spoken for":                       {on: "1971-01-01", bank: true, legal: true},
		"Washington's Birthday on its first Monday":          {on: "1971-02-15", bank: true, legal: true},
		"Memorial Day is the last Monday, not the fourth":    {on: "1971-05-31", bank: true, legal: true},
		"the fourth Monday is not Memorial Day":              {on: "1971-05-24"},
		"Columbus Day begins in 1971":                        {on: "1971-10-11", bank: true, legal: true},
		"Veterans Day in October, the first":                 {on: "1971-10-25", bank: true, legal: true},
		"no Veterans Day in November meanwhile":              {on: "1971-11-11"},
		"Veterans Day in October, the last":                  {on: "1977-10-24", bank: true, legal: true},
		"no Veterans Day in October any more":                {on: "1978-10-23"},
		"Veterans Day back in November":                      {on: "1978-11-11", bank: true, legal: true},
		"its Friday is none, as the day is a Saturday":       {on: "1978-11-10"},
		"no King's Birthday in 1985":                         {on: "1985-01-21"},
		"King's Birthday from 1986":                          {on: "1986-01-20", bank: true, legal: true},
		"no Juneteenth in 2020":                              {on: "2020-06-19"},
		"Juneteenth 2021 is the law's, not the banks'":       {on: "2021-06-19", legal: true},
		"the Friday before is neither's":                     {on: "2021-06-18"},
		"a Sunday Juneteenth is a holiday itself":            {on: "2022-06-19", bank: true, legal: true},
		"its Monday is the banks', not the law's":            {on: "2022-06-20", bank: true},
		"a Saturday New Year's Day is not moved back a year": {on: "2021-12-31"},
		"a Sunday New Year's Day closes on the 2nd":          {on: "2023-01-02", bank: true},
		"a Sunday Christmas closes on the 26th":              {on: "2022-12-26", bank: true},
		"a Saturday Independence Day is still the 4th":       {on: "2026-07-04", bank: true, legal: true},
		"a Sunday Independence Day closes on the 5th":        {on: "2027-07-05", bank: true},
		"Thanksgiving is the fourth Thursday":                {on: "2028-11-23", bank: true, legal: true},
		"and not the fifth":                                  {on: "2028-11-30"},
		"inauguration day is a holiday of neither":           {on: "2028-01-20"},
		"a day of national mourning is neither":              {on: "2025-01-09"},
		"a plain day":                                        {on: "2026-03-03"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			d := day(tt.on)
			if bank, legal := mortgage.IsBankHoliday(d), mortgage.IsLegalHoliday(d); bank != tt.bank || legal != tt.legal {
				t.Errorf("%s: IsBankHoliday = %t, IsLegalHoliday = %t; want %t, %t", d, bank, legal, tt.bank, tt.legal)
			}
		})
	}
}

func TestAddBusinessDays(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		from string
		n    int
		want string
	}{
		"the day after a weekday":                      {from: "2026-03-03", n: 1, want: "2026-03-04"},
		"a Friday leads to Monday":                     {from: "2026-03-06", n: 1, want: "2026-03-09"},
		"over the Friday that banks work":              {from: "2026-07-02", n: 1, want: "2026-07-03"},
		"over Independence Day on a Saturday":          {from: "2026-07-03", n: 1, want: "2026-07-06"},
		"over Independence Day kept on Monday":         {from: "2027-07-02", n: 1, want: "2027-07-06"},
		"from a holiday":                               {from: "2026-12-25", n: 1, want: "2026-12-28"},
		"over a leap day":                              {from: "2028-02-28", n: 2, want: "2028-03-01"},
		"five of them are a week":                      {from: "2026-03-03", n: 5, want: "2026-03-10"},
		"none, from a business day, is that day":       {from: "2026-03-03", n: 0, want: "2026-03-03"},
		"none, from a Saturday, is the next one":       {from: "2026-07-04", n: 0, want: "2026-07-06"},
		"none, from Christmas, is the next one":        {from: "2026-12-25", n: 0, want: "2026-12-28"},
		"back over a weekend":                          {from: "2026-03-09", n: -1, want: "2026-03-06"},
		"back from a Sunday":                           {from: "2026-03-08", n: -1, want: "2026-03-06"},
		"back over Thanksgiving":                       {from: "2026-11-27", n: -1, want: "2026-11-25"},
		"the last day of the calendar, a Friday":       {from: "9999-12-31", n: 0, want: "9999-12-31"},
		"past the calendar is no date":                 {from: "9999-12-31", n: 1},
		"before the calendar is no date":               {from: "0001-01-01", n: -1},
		"a number past the calendar is no date either": {from: "2026-03-03", n: 1 << 40},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var want mortgage.Date
			if tt.want != "" {
				want = day(tt.want)
			}
			if got := mortgage.AddBusinessDays(day(tt.from), tt.n); got != want {
				t.Errorf("AddBusinessDays(%s, %d) = %s; want %s", tt.from, tt.n, got, tt.want)
			}
		})
	}
	for _, d := range []mortgage.Date{0, -1, mortgage.MaxDate + 1} {
		for _, n := range []int{-1, 0, 1} {
			if got := mortgage.AddBusinessDays(d, n); !got.IsZero() {
				t.Errorf("AddBusinessDays(%d, %d) = %s; want no date", int(d), n, got)
			}
		}
	}
}

func TestNextBusinessDay(t *testing.T) {
	t.Parallel()

	for from, want := range map[string]string{
		"2026-03-03": "2026-03-04", // never the day itself
		"2026-07-03": "2026-07-06",
		"2027-07-02": "2027-07-06",
		"2022-12-24": "2022-12-27",
	} {
		if got := mortgage.NextBusinessDay(day(from)); got != day(want) {
			t.Errorf("NextBusinessDay(%s) = %s; want %s", from, got, want)
		}
	}
}

func TestRefundDueOn(t *testing.T) {
	t.Parallel()

	tests := map[string]struct{ payoffOn, want string }{
		"four weeks when no holiday is among them": {
			payoffOn: "2026-03-03", want: "2026-03-31",
		},
		"a payoff on a Saturday counts from Monday": {
			payoffOn: "2026-03-07", want: "2026-04-03",
		},
		"one holiday is one day more": {
			payoffOn: "2026-05-04", want: "2026-06-02",
		},
		"Thanksgiving is one, and Christmas not reached": {
			payoffOn: "2026-11-24", want: "2026-12-23",
		},
		"Christmas and New Year are two days more": {
			payoffOn: "2026-12-11", want: "2027-01-12",
		},
		"the Friday before a Saturday holiday counts": {
			payoffOn: "2026-06-22", want: "2026-07-20",
		},
		"the Monday after a Sunday holiday counts": {
			payoffOn: "2027-06-21", want: "2027-07-19",
		},
		"nor do Sunday holidays and their Mondays lengthen that winter's": {
			payoffOn: "2022-12-12", want: "2023-01-09",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := mortgage.RefundDueOn(day(tt.payoffOn)); got != day(tt.want) {
				t.Errorf("RefundDueOn(%s) = %s; want %s", tt.payoffOn, got, tt.want)
			}
		})
	}
	if got := mortgage.RefundDueOn(0); !got.IsZero() {
		t.Errorf("RefundDueOn(no date) = %s; want no date", got)
	}
}

func drawDay(t *rapid.T, label string) mortgage.Date {
	return mortgage.Date(rapid.IntRange(int(day("1971-01-01")), int(day("2100-12-31"))).Draw(t, label))
}

func TestAddBusinessDaysLandsOnBusinessDays(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		d := drawDay(t, "day")
		n := rapid.IntRange(-300, 300).Draw(t, "days")
		got := mortgage.AddBusinessDays(d, n)
		if !mortgage.IsBusinessDay(got) {
			t.Fatalf("AddBusinessDays(%s, %d) = %s, which is no business day", d, n, got)
		}
		between := 0
		for e := min(d, got); e <= max(d, got); e++ {
			if e != d && mortgage.IsBusinessDay(e) {
				between++
			}
		}
		if n != 0 && between != max(n, -n) {
			t.Fatalf("AddBusinessDays(%s, %d) = %s; it counts %d business days", d, n, got, between)
		}
		if back := mortgage.AddBusinessDays(got, -n); n != 0 && mortgage.IsBusinessDay(d) && back != d {
			t.Fatalf("there and back from %s by %d is %s", d, n, back)
		}
	})
}

// Every day the banks keep is one that the law names, or the Monday after it;
// and no year has more than eleven of the law's.
func TestTheCalendarsDifferOnlyOnMondays(t *testing.T) {
	t.Parallel()

	legal := map[int]int{}
	for d := day("1971-01-01"); d <= day("2100-12-31"); d++ {
		year, _, _ := d.Civil()
		if mortgage.IsLegalHoliday(d) {
			legal[year]++
		}
		moved := mortgage.IsLegalHoliday(d - 1)
		if mortgage.IsBankHoliday(d) != mortgage.IsLegalHoliday(d) && !moved && d != day("2021-06-19") {
			t.Errorf("%s: IsBankHoliday = %t, IsLegalHoliday = %t", d, mortgage.IsBankHoliday(d), mortgage.IsLegalHoliday(d))
		}
	}
	for year, n := range legal {
		want := 9
		if year >= 1986 {
			want++
		}
		if year >= 2021 {
			want++
		}
		if n != want {
			t.Errorf("%d has %d legal holidays; want %d", year, n, want)
		}
	}
}
