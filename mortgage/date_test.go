package mortgage_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"loanserve/mortgage"
)

func TestParseDate(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		text string
		want mortgage.Date
		err  error
	}{
		"the first day":                         {text: "0001-01-01", want: mortgage.MinDate},
		"the last day":                          {text: "9999-12-31", want: mortgage.MaxDate},
		"the day Unix time begins":              {text: "1970-01-01", want: 719_163},
		"a leap day":                            {text: "2024-02-29", want: 738_945},
		"the leap day of a 400th year":          {text: "2000-02-29", want: 730_179},
		"no text":                               {text: "", err: mortgage.ErrNotDate},
		"no leap day in a common year":          {text: "2023-02-29", err: mortgage.ErrNotDate},
		"no leap day in a 100th year":           {text: "1900-02-29", err: mortgage.ErrNotDate},
		"no 31st in April":                      {text: "2026-04-31", err: mortgage.ErrNotDate},
		"no 32nd":                               {text: "2026-01-32", err: mortgage.ErrNotDate},
		"no day 0":                              {text: "2026-01-00", err: mortgage.ErrNotDate},
		"no month 0":                            {text: "2026-00-01", err: mortgage.ErrNotDate},
		"no month 13":                           {text: "2026-13-01", err: mortgage.ErrNotDate},
		"no year 0":                             {text: "0000-01-01", err: mortgage.ErrNotDate},
		"a year of five digits":                 {text: "10000-01-01", err: mortgage.ErrNotDate},
		"a negative year":                       {text: "-001-01-01", err: mortgage.ErrNotDate},
		"a signed month":                        {text: "2026-+1-01", err: mortgage.ErrNotDate},
		"a signed day":                          {text: "2026-01--1", err: mortgage.ErrNotDate},
		"one digit for the month":               {text: "2026-1-001", err: mortgage.ErrNotDate},
		"a space for a digit":                   {text: "2026-01- 1", err: mortgage.ErrNotDate},
		"a space in front":                      {text: " 2026-01-01", err: mortgage.ErrNotDate},
		"a newline behind":                      {text: "2026-01-01\n", err: mortgage.ErrNotDate},
		"a time behind":                         {text: "2026-01-01T00:00:00Z", err: mortgage.ErrNotDate},
		"slashes":                               {text: "2026/01/01", err: mortgage.ErrNotDate},
		"the order of the United States":        {text: "01-01-2026", err: mortgage.ErrNotDate},
		"no separators":                         {text: "20260101", err: mortgage.ErrNotDate},
		"a NUL for a separator":                 {text: "2026\x0001-01", err: mortgage.ErrNotDate},
		"digits of another script":              {text: "２０２６-01-01", err: mortgage.ErrNotDate},
		"ten bytes that are not ten characters": {text: "٢٠-01-01", err: mortgage.ErrNotDate},
		"letters":                               {text: "YYYY-MM-DD", err: mortgage.ErrNotDate},
		"infinity as the database spells it":    {text: "infinity", err: mortgage.ErrNotDate},
		"hexadecimal":                           {text: "0x26-01-01", err: mortgage.ErrNotDate},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := mortgage.ParseDate(tt.text)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("ParseDate(%q) = %d, %v; want %d, %v", tt.text, got, err, tt.want, tt.err)
			}
		})
	}
}

// The calendar of the standard library is the outside truth for ours.
func TestEveryDayAgreesWithTime(t *testing.T) {
	t.Parallel()

	on := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for d := mortgage.MinDate; d <= mortgage.MaxDate; d++ {
		year, month, dayOfMonth := d.Civil()
		y, m, dm := on.Date()
		if year != y || month != int(m) || dayOfMonth != dm {
			t.Fatalf("Date(%d).Civil() = %d, %d, %d; want %s", d, year, month, dayOfMonth, on.Format(time.DateOnly))
		}
		if got, err := mortgage.NewDate(y, int(m), dm); got != d || err != nil {
			t.Fatalf("NewDate(%d, %d, %d) = %d, %v; want %d", y, m, dm, got, err, d)
		}
		if got := mortgage.DateOf(on); got != d {
			t.Fatalf("DateOf(%s) = %d; want %d", on.Format(time.DateOnly), got, d)
		}
		if d%7 == 0 { // Writing and reading is slow; a week is a fair sample of a month.
			checkText(t, d, on)
		}
		on = on.AddDate(0, 0, 1)
	}
	if on.Year() != 10_000 {
		t.Errorf("MaxDate is the day before %s; want the last of the year 9999", on.Format(time.DateOnly))
	}
}

func checkText(t *testing.T, d mortgage.Date, on time.Time) {
	t.Helper()

	s := d.String()
	if want := on.Format(time.DateOnly); s != want {
		t.Fatalf("Date(%d).String() = %q; want %q", d, s, want)
	}
	if got, err := mortgage.ParseDate(s); got != d || err != nil {
		t.Fatalf("ParseDate(%q) = %d, %v; want %d", s, got, err, d)
	}
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2024-02-29", "0001-01-01", "9999-12-31", "0000-01-01", "2026-1-01", "٢٠-01-01", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := mortgage.ParseDate(s)
		want, wantErr := time.Parse(time.DateOnly, s)
		ok := wantErr == nil && want.Year() >= 1
		switch {
		case ok != (err == nil):
			t.Errorf("ParseDate(%q) = %d, %v; time.Parse = %v, %v", s, got, err, want, wantErr)
		case ok && (got != mortgage.DateOf(want) || got.String() != s):
			t.Errorf("ParseDate(%q) = %d, %s; want %d, %s", s, got, got, mortgage.DateOf(want), s)
		}
	})
}

func TestNewDateCarriesNothingOver(t *testing.T) {
	t.Parallel()

	for _, c := range [][3]int{
		{0, 1, 1},
		{10_000, 1, 1},
		{-1, 1, 1},
		{2026, 0, 1},
		{2026, 13, 1},
		{2026, -1, 1},
		{2026, 1, 0},
		{2026, 1, 32},
		{2026, 2, 29},
		{2026, 6, 31},
		{2026, 1, -1},
	} {
		if got, err := mortgage.NewDate(c[0], c[1], c[2]); got != 0 || !errors.Is(err, mortgage.ErrNotDate) {
			t.Errorf("NewDate(%d, %d, %d) = %d, %v; want ErrNotDate", c[0], c[1], c[2], got, err)
		}
	}
}

func TestAddMonths(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		from       string
		months     int
		dayOfMonth int
		want       string // empty for ErrNotDate
	}{
		"a month on the first":                  {from: "2026-01-01", months: 1, dayOfMonth: 1, want: "2026-02-01"},
		"over the end of a year":                {from: "2026-12-15", months: 1, dayOfMonth: 15, want: "2027-01-15"},
		"back over the start of a year":         {from: "2026-01-15", months: -1, dayOfMonth: 15, want: "2025-12-15"},
		"twelve months back":                    {from: "2026-01-15", months: -12, dayOfMonth: 15, want: "2025-01-15"},
		"thirty years":                          {from: "2026-02-01", months: 360, dayOfMonth: 1, want: "2056-02-01"},
		"no months move the day only":           {from: "2026-02-05", months: 0, dayOfMonth: 31, want: "2026-02-28"},
		"the 29th in a common February":         {from: "2026-01-29", months: 1, dayOfMonth: 29, want: "2026-02-28"},
		"the 29th in a leap February":           {from: "2028-01-29", months: 1, dayOfMonth: 29, want: "2028-02-29"},
		"the 30th in a common February":         {from: "2026-01-30", months: 1, dayOfMonth: 30, want: "2026-02-28"},
		"the 30th in a leap February":           {from: "2028-01-30", months: 1, dayOfMonth: 30, want: "2028-02-29"},
		"the 31st in a common February":         {from: "2026-01-31", months: 1, dayOfMonth: 31, want: "2026-02-28"},
		"the 31st in a leap February":           {from: "2028-01-31", months: 1, dayOfMonth: 31, want: "2028-02-29"},
		"the 31st in February of the year 2000": {from: "2000-01-31", months: 1, dayOfMonth: 31, want: "2000-02-29"},
		"the 31st in February of the year 2100": {from: "2100-01-31", months: 1, dayOfMonth: 31, want: "2100-02-28"},
		"the 31st in a month of thirty days":    {from: "2026-03-31", months: 1, dayOfMonth: 31, want: "2026-04-30"},
		"the 31st comes back after February":    {from: "2026-02-28", months: 1, dayOfMonth: 31, want: "2026-03-31"},
		"the 30th comes back after February":    {from: "2026-02-28", months: 1, dayOfMonth: 30, want: "2026-03-30"},
		"the 28th stays the 28th":               {from: "2026-02-28", months: 1, dayOfMonth: 28, want: "2026-03-28"},
		"a leap day, a year later":              {from: "2028-02-29", months: 12, dayOfMonth: 29, want: "2029-02-28"},
		"the first month there is":              {from: "0001-02-10", months: -1, dayOfMonth: 10, want: "0001-01-10"},
		"before the first year":                 {from: "0001-01-10", months: -1, dayOfMonth: 10},
		"long before the first year":            {from: "0001-01-10", months: -13, dayOfMonth: 10},
		"the last month there is":               {from: "9999-11-30", months: 1, dayOfMonth: 31, want: "9999-12-31"},
		"after the last year":                   {from: "9999-12-01", months: 1, dayOfMonth: 1},
		"day 0 is no day of a month":            {from: "2026-01-01", months: 1, dayOfMonth: 0},
		"a negative day is no day of a month":   {from: "2026-01-01", months: 1, dayOfMonth: -1},
		"more months than a number holds":       {from: "2026-01-01", months: math.MaxInt, dayOfMonth: 1},
		"fewer months than a number holds":      {from: "2026-01-01", months: math.MinInt, dayOfMonth: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := day(tt.from).AddMonths(tt.months, tt.dayOfMonth)
			if got.String() != tt.want || (tt.want == "") != errors.Is(err, mortgage.ErrNotDate) {
				t.Errorf("%s.AddMonths(%d, %d) = %q, %v; want %q", tt.from, tt.months, tt.dayOfMonth, got, err, tt.want)
			}
		})
	}
}

// A loan due on the 31st passes fifty Februaries and is due on the last day of
// every month; one due on the 30th or 29th never moves either.
func TestAddMonthsDoesNotDrift(t *testing.T) {
	t.Parallel()

	for dueDay := 1; dueDay <= 31; dueDay++ {
		start, err := day("2026-01-01").AddMonths(0, dueDay)
		if err != nil {
			t.Fatal(err)
		}
		on := start
		for n := 1; n <= mortgage.MaxTermMonths; n++ {
			if on, err = on.AddMonths(1, dueDay); err != nil {
				t.Fatal(err)
			}
			first := time.Date(2026, time.Month(1+n), 1, 0, 0, 0, 0, time.UTC)
			last := first.AddDate(0, 1, -1).Day()
			want := mortgage.DateOf(first) + mortgage.Date(min(dueDay, last)) - 1
			direct, err := start.AddMonths(n, dueDay)
			if on != want || direct != want || err != nil {
				t.Fatalf("due day %d, month %d: one by one %s, at once %s, %v; want %s", dueDay, n, on, direct, err, want)
			}
		}
	}
}

func TestDateScan(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		src  any
		want mortgage.Date
		err  error
	}{
		"NULL is no date":                 {src: nil, want: 0},
		"midnight UTC":                    {src: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), want: day("2026-03-01")},
		"the last instant of a day":       {src: time.Date(2026, 3, 1, 23, 59, 59, 999_999_999, time.UTC), want: day("2026-03-01")},
		"before Unix time":                {src: time.Date(1969, 12, 31, 12, 0, 0, 0, time.UTC), want: day("1969-12-31")},
		"the day in UTC, not in its zone": {src: time.Date(2026, 3, 1, 22, 0, 0, 0, time.FixedZone("", -5*3600)), want: day("2026-03-02")},
		"the first day":                   {src: time.Time{}, want: mortgage.MinDate},
		"the last day":                    {src: time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC), want: mortgage.MaxDate},
		"the day before the first":        {src: time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC), err: mortgage.ErrNotDate},
		"the day after the last":          {src: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), err: mortgage.ErrNotDate},
		"past the last by its zone":       {src: time.Date(9999, 12, 31, 22, 0, 0, 0, time.FixedZone("", -5*3600)), err: mortgage.ErrNotDate},
		"a day that would wrap 32 bits":   {src: time.Unix(1<<32*86_400, 0), err: mortgage.ErrNotDate},
		"text, as infinity arrives":       {src: "infinity", err: mortgage.ErrNotDate},
		"text, even of a day":             {src: "2026-03-01", err: mortgage.ErrNotDate},
		"bytes":                           {src: []byte("2026-03-01"), err: mortgage.ErrNotDate},
		"a number":                        {src: int64(719_163), err: mortgage.ErrNotDate},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			before := mortgage.Date(42)
			got := before
			err := got.Scan(tt.src)
			want := tt.want
			if tt.err != nil {
				want = before // A refused value leaves the date alone.
			}
			if got != want || !errors.Is(err, tt.err) {
				t.Errorf("Scan(%v) = %d, %v; want %d, %v", tt.src, got, err, want, tt.err)
			}
		})
	}
}

func TestDateValue(t *testing.T) {
	t.Parallel()

	if got, err := mortgage.Date(0).Value(); got != nil || err != nil {
		t.Errorf("Date(0).Value() = %v, %v; want NULL", got, err)
	}
	for _, d := range []mortgage.Date{-1, mortgage.MaxDate + 1, math.MinInt32, math.MaxInt32} {
		if got, err := d.Value(); got != nil || !errors.Is(err, mortgage.ErrNotDate) {
			t.Errorf("Date(%d).Value() = %v, %v; want ErrNotDate", d, got, err)
		}
	}
	for _, d := range []mortgage.Date{mortgage.MinDate, day("1969-12-31"), day("2024-02-29"), mortgage.MaxDate} {
		value, err := d.Value()
		if err != nil {
			t.Fatalf("Date(%d).Value(): %v", d, err)
		}
		year, month, dayOfMonth := d.Civil()
		want := time.Date(year, time.Month(month), dayOfMonth, 0, 0, 0, 0, time.UTC)
		if got, ok := value.(time.Time); !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("Date(%d).Value() = %v; want %v", d, value, want)
		}
		var back mortgage.Date
		if err := back.Scan(value); back != d || err != nil {
			t.Errorf("Scan(Date(%d).Value()) = %d, %v; want %d", d, back, err, d)
		}
	}
}

func TestDateInJSON(t *testing.T) {
	t.Parallel()

	type document struct {
		DueOn  mortgage.Date  `json:"due_on"`
		PaidOn *mortgage.Date `json:"paid_on,omitempty"`
		SentOn mortgage.Date  `json:"sent_on,omitzero"`
	}
	const text = `{"due_on":"2026-02-28"}`
	got, err := json.Marshal(document{DueOn: day("2026-02-28")})
	if string(got) != text || err != nil {
		t.Errorf("Marshal = %s, %v; want %s", got, err, text)
	}
	var back document
	if err := json.Unmarshal([]byte(text), &back); back.DueOn != day("2026-02-28") || err != nil {
		t.Errorf("Unmarshal(%s) = %+v, %v; want due_on 2026-02-28", text, back, err)
	}
	for _, d := range []mortgage.Date{mortgage.MinDate, mortgage.MaxDate} {
		got, err := json.Marshal(d)
		if want := `"` + d.String() + `"`; string(got) != want || err != nil {
			t.Errorf("Marshal(Date(%d)) = %s, %v; want %s", d, got, err, want)
		}
	}
	for _, d := range []mortgage.Date{0, -1, mortgage.MaxDate + 1} {
		if got, err := json.Marshal(document{DueOn: d}); !errors.Is(err, mortgage.ErrNotDate) {
			t.Errorf("Marshal(Date(%d)) = %s, %v; want ErrNotDate", d, got, err)
		}
	}
	for _, bad := range []string{`{"due_on":""}`, `{"due_on":"2026-02-29"}`} {
		back = document{DueOn: 42}
		if err := json.Unmarshal([]byte(bad), &back); back.DueOn != 42 || !errors.Is(err, mortgage.ErrNotDate) {
			t.Errorf("Unmarshal(%s) = %d, %v; want 42 untouched, ErrNotDate", bad, back.DueOn, err)
		}
	}
}

func TestNoDateIsEmptyText(t *testing.T) {
	t.Parallel()

	if got := mortgage.Date(0).String(); got != "" || !mortgage.Date(0).IsZero() {
		t.Errorf("Date(0).String() = %q, IsZero %v; want empty and zero", got, mortgage.Date(0).IsZero())
	}
	if mortgage.MinDate.IsZero() {
		t.Error("MinDate.IsZero() = true; want false")
	}
}
