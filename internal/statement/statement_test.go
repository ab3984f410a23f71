package statement_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"loanserve/internal/statement"
	"loanserve/mortgage"
)

// words are all that a page says, in its order.
func words(t *testing.T, s *statement.Statement) []string {
	t.Helper()

	p, err := s.Page()
	if err != nil {
		t.Fatal(err)
	}
	return wordsOf(p)
}

func wordsOf(p statement.Page) []string {
	all := []string{p.Servicer.Name, p.Servicer.Address, p.Servicer.Phone, p.Title}
	for _, f := range p.Facts {
		all = append(all, f.Name, f.Value)
	}
	all = append(all, p.Lead)
	for _, f := range p.Figures {
		all = append(all, f.Name, f.Value, f.Note)
	}
	for _, sec := range p.Sections {
		all = append(all, sec.Heading)
		for _, b := range sec.Blocks {
			all = append(append(all, b.Text), b.List...)
			if b.Table != nil {
				all = append(all, b.Table.Caption)
				for _, c := range b.Table.Columns {
					all = append(all, c.Head)
				}
				for _, r := range b.Table.Rows {
					all = append(all, r.Cells...)
				}
				all = append(all, b.Table.Note)
			}
			if b.Picture != nil {
				all = append(append(all, b.Picture.Title), b.Picture.Months...)
			}
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// column returns the cells of a column of the table with the caption.
func column(t *testing.T, s *statement.Statement, caption string, i int) []string {
	t.Helper()

	p, err := s.Page()
	if err != nil {
		t.Fatal(err)
	}
	for _, sec := range p.Sections {
		for _, b := range sec.Blocks {
			if b.Table == nil || !strings.HasPrefix(b.Table.Caption, caption) {
				continue
			}
			var cells []string
			for _, r := range b.Table.Rows {
				cells = append(cells, r.Cells[i])
			}
			return cells
		}
	}
	t.Fatalf("no table %q", caption)
	return nil
}

// The balances that the initial statement of Appendix E's account shows are those
// of the regulation's third step, and the payment and the deposit are its own.
func TestInitialStatementOfAppendixE(t *testing.T) {
	t.Parallel()

	s := initial(t)
	want := []string{
		"$1,040.00", "$670.00", "$800.00", "$570.00", "$700.00", "$830.00", "$260.00", "$390.00", "$520.00", "$650.00",
		"$780.00", "$910.00", "$1,040.00",
	}
	const year = "The coming year, month by month"
	if got := column(t, s, year, 3); !slices.Equal(got, want) {
		t.Errorf("balances that are needed %q; want %q", got, want)
	}
	if got := column(t, s, year, 4); !slices.Equal(got, want) {
		t.Errorf("balances with the first deposit %q; want %q", got, want)
	}
	if got := column(t, s, year, 0)[6]; got != "Dec 2026 (lowest)" {
		t.Errorf("the seventh row is %q; want December, the lowest", got)
	}
	bills := "Bills that we expect"
	days := []string{"July 25, 2026", "September 20, 2026", "December 10, 2026", "Total"}
	if got := column(t, s, bills, 0); !slices.Equal(got, days) {
		t.Errorf("bills on %q; want each payment with its date", got)
	}
	if got := column(t, s, bills, 3); !slices.Equal(got, []string{"$500.00", "$360.00", "$700.00", "$1,560.00"}) {
		t.Errorf("bills of %q; want 500, 360, 700, and 1,560 in all", got)
	}
	if got := column(t, s, "What your monthly payment", 1); !slices.Equal(got, []string{"$841.96", "$130.00", "$971.96"}) {
		t.Errorf("payment %q; want 841.96 and 130.00", got)
	}
	all := strings.Join(words(t, s), "\n")
	for _, want := range []string{
		"cushion of $260.00", "$1,040.00 on May 15, 2026", "Prairie Mortgage Servicing", "1-800-555-0100",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the page does not say %q:\n%s", want, all)
		}
	}
}

// What 12 CFR 1024.17(i)(1) asks of an annual statement, paragraph by paragraph.
func TestAnnualStatementSaysWhatTheRuleAsks(t *testing.T) {
	t.Parallel()

	s := year(t, 1040_00, missedLow)
	if got := column(t, s, "What your monthly payment", 2); !slices.Equal(got, []string{"$841.96", "$130.00", "$971.96"}) {
		t.Errorf("(i) current payment %q", got)
	}
	if got := column(t, s, "What your monthly payment", 1); !slices.Equal(got, []string{"$841.96", "$125.00", "$966.96"}) {
		t.Errorf("(ii) past payment %q", got)
	}
	sums := []string{"$990.00", "$1,500.00", "\u2212$1,450.00", "$1,040.00"}
	if got := column(t, s, "The past year in sum", 1); !slices.Equal(got, sums) {
		t.Errorf("(iii) to (v) %q; want %q", got, sums)
	}
	out := []string{"$1,090.00", "$360.00", "$1,450.00"}
	if got := column(t, s, "What we paid, by purpose", 3); !slices.Equal(got, out) {
		t.Errorf("(iv) by category %q", got)
	}
	all := strings.Join(words(t, s), "\n")
	for _, want := range []string{
		"The lowest balance that we projected was $250.00, at the end of December 2025. The lowest that there was, was " +
			"$415.00, at the end of January 2026. So the balance did not get as low as projected.",
		"January 2026: we paid for county property tax (Sangamon County Collector) on January 4, 2026, later than " +
			"December 10, 2025 as projected.",
		"January 2026: the bill for county property tax (Sangamon County Collector) was $590.00, lower than the $640.00 projected.",
		"* This month was not over", "Jun 2026*", "There is no surplus, no shortage and no deficiency.",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("(viii) the page does not say %q:\n%s", want, all)
		}
	}
}

// (vi) and (vii): what is done about each amount, in words that name it.
func TestStatementSaysWhatIsDone(t *testing.T) {
	t.Parallel()

	late := year(t, 1125_37)
	late.Annual.Surplus.Action, late.Current = mortgage.EscrowRetain, false
	atOnce := year(t, 960_00)
	atOnce.Annual.Shortage = mortgage.EscrowHandling{
		Action: mortgage.EscrowAtOnce, Amount: 80_00, DueOn: date("2026-07-30"),
	}
	for name, tt := range map[string]struct {
		s    *statement.Statement
		want string
	}{
		"a surplus goes back": {
			year(t, 1125_37), "Your account has a surplus of $85.37. We pay it back to you by July 30, 2026.",
		},
		"a small surplus is credited": {year(t, 1064_00), "We take it off your escrow payments: $2.00 a month for 12 months."},
		"a surplus stays":             {late, "the surplus stays in it"},
		"a shortage is spread, the last month takes the rest": {
			year(t, 850_00),
			"It is made up with your monthly payments: $15.83 a month for 11 months and $15.87 in the last one.",
		},
		"a small shortage is asked for at once": {atOnce, "Your account has a shortage of $80.00. Please pay it by July 30, 2026."},
		"a deficiency is spread": {
			year(t, -60_00),
			"we paid bills for you with our own money, and $60.00 of it is not repaid. You repay it with your monthly " +
				"payments: $5.00 a month for 12 months.",
		},
		"a refund is told": {samples(t)["annual-refund"], "July 2025: we paid $60.00 back to you."},
	} {
		if all := strings.Join(words(t, tt.s), "\n"); !strings.Contains(all, tt.want) {
			t.Errorf("%s: the page does not say %q:\n%s", name, tt.want, all)
		}
	}
}

// A statement never asks for a shortage of a month's payment or more, or a
// deficiency of that size, in one sum, whatever the account and the policy. Source:
// CFPB, Mortgage Servicing FAQs, Escrow Accounts, 2021-06-02.
func TestNoLumpSumOfAMonthOrMore(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		r := appendixE(mortgage.Cents(rapid.Int64Range(-500_00, 1200_00).Draw(t, "balance")))
		act := rapid.SampledFrom([]mortgage.EscrowAction{mortgage.EscrowLeave, mortgage.EscrowAtOnce, mortgage.EscrowSpread})
		r.Policy.SmallShortage, r.Policy.SmallDeficiency = act.Draw(t, "shortage"), act.Draw(t, "deficiency")
		a, err := mortgage.AnalyzeEscrow(r)
		if err != nil {
			t.Fatal(err)
		}
		y := mortgage.EscrowYear{
			Analysis: &a, Request: &r, FromOn: date("2025-07-01"), ToOn: date("2026-06-30"), Opening: r.Account.Balance,
		}
		content, err := y.AnnualStatement()
		if err != nil {
			t.Fatal(err)
		}
		s := blank(&r, &a)
		s.Annual = &content
		p, err := s.Page()
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(wordsOf(p), "\n")
		asks := strings.Contains(all, "Please pay it by")
		small := a.ShortageHandling.Action == mortgage.EscrowAtOnce && a.Shortage < a.BasePayment ||
			a.DeficiencyHandling.Action == mortgage.EscrowAtOnce && a.Deficiency < a.BasePayment
		if asks != small {
			t.Fatalf("asks for a sum: %t; want %t, shortage %d, deficiency %d, a month is %d",
				asks, small, a.Shortage, a.Deficiency, a.BasePayment)
		}
		if low := strings.ToLower(all); strings.Contains(low, "lump") || strings.Contains(low, "one sum") {
			t.Fatalf("the page speaks of a lump sum:\n%s", all)
		}
		checkAmounts(t, s, all)
	})
}

var amount = regexp.MustCompile(`(\x{2212})?\$([0-9,]+)\.([0-9]{2})`)

// checkAmounts fails for an amount in a text that the statement's data does not have:
// as it is, with the other sign, as the total of a payment, or as the sum of a column.
func checkAmounts(t interface{ Fatalf(string, ...any) }, s *statement.Statement, text string) {
	known := map[mortgage.Cents]bool{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch x := v.Interface().(type) {
		case mortgage.Cents:
			known[x], known[-x] = true, true
			return
		case mortgage.MonthlyPayment:
			known[x.Total()] = true
		case mortgage.EscrowPayment:
			known[x.Total()] = true
		}
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for _, field := range v.Fields() {
				walk(field)
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		default:
		}
	}
	walk(reflect.ValueOf(s))
	var charges, projected, actual mortgage.Cents
	var projection mortgage.EscrowProjection
	if s.Initial != nil {
		projection = s.Initial.Projection
	} else {
		projection = s.Annual.Projection
		for _, c := range s.Annual.PaidOut {
			projected, actual = projected+c.Projected, actual+c.Actual
		}
	}
	for _, c := range projection.Charges {
		charges += c.Amount
	}
	known[charges], known[projected], known[actual] = true, true, true

	found := amount.FindAllStringSubmatch(text, -1)
	for _, m := range found {
		n, err := strconv.ParseInt(strings.ReplaceAll(m[2], ",", "")+m[3], 10, 64)
		if err != nil {
			t.Fatalf("amount %q: %v", m[0], err)
		}
		if m[1] != "" {
			n = -n
		}
		if !known[mortgage.Cents(n)] {
			t.Fatalf("%s is on the page and not in the data", m[0])
		}
	}
	if len(found) < 10 {
		t.Fatalf("%d amounts on the page; want more", len(found))
	}
}

func TestEveryAmountIsOfTheData(t *testing.T) {
	t.Parallel()

	for name, s := range samples(t) {
		html, err := s.HTML()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkAmounts(t, s, string(html))
		pdf, err := s.PDF()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkAmounts(t, s, strings.Join(pdfText(t, pdf), "\n"))
	}
}

// The same statement gives the same bytes, whoever else writes one at the moment:
// its hash is kept.
func TestStatementIsDeterministic(t *testing.T) {
	t.Parallel()

	for name := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, b := samples(t)[name], samples(t)[name]
			for _, write := range []func(*statement.Statement) ([]byte, error){
				(*statement.Statement).HTML, (*statement.Statement).PDF, (*statement.Statement).JSON,
			} {
				first, err := write(a)
				if err != nil {
					t.Fatal(err)
				}
				again, err := write(b)
				if err != nil || !bytes.Equal(first, again) {
					t.Errorf("written twice it differs: %v", err)
				}
			}
		})
	}
}

func TestStatementAsJSON(t *testing.T) {
	t.Parallel()

	s := year(t, 1040_00, missedLow)
	text, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var d statement.Disclosure
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	p := d.Past
	if p.OpeningCents+p.PaidInCents-p.PaidOutCents-p.RefundedCents != p.EndingCents || p.EndingCents != 1040_00 {
		t.Errorf("past year %+v; want it to end with 104000", p)
	}
	if d.DueOn != date("2026-07-30") || d.Payment.TotalCents != 971_96 || d.PastPayment.TotalCents != 966_96 ||
		len(d.Coming.Months) != 12 || len(p.Months) != 12 || len(p.Differences) != 3 || !p.Projected || p.LowReached {
		t.Errorf("statement %+v", d)
	}
	if i := initial(t); i.DueOn() != date("2026-06-29") {
		t.Errorf("the initial statement is due on %s; want 45 days after settlement", i.DueOn())
	}
}

// Without an analysis of the year before there is nothing to compare with, and the
// page says so.
func TestStatementWithoutProjection(t *testing.T) {
	t.Parallel()

	s := year(t, 1040_00)
	s.Unprojected = true
	all := strings.Join(words(t, s), "\n")
	if !strings.Contains(all, "this is the first time that we have analyzed your account") ||
		strings.Contains(all, "The lowest balance that we projected") {
		t.Errorf("the page compares with nothing:\n%s", all)
	}
	if got := column(t, s, "What happened", 3); len(got) != 13 || got[12] != "$1,040.00" {
		t.Errorf("history %q; want thirteen balances, the last 1,040.00", got)
	}
}

// A loan that is paid off has no coming year.
func TestStatementOfAPayoff(t *testing.T) {
	t.Parallel()

	r := appendixE(412_34)
	r.Kind, r.AsOf, r.Account.On = mortgage.EscrowPayoff, date("2026-03-10"), date("2026-03-10")
	a := analyze(t, &r)
	y := mortgage.EscrowYear{
		Analysis: a, Request: &r, FromOn: date("2025-07-01"), ToOn: date("2026-03-10"),
		Opening: 412_34, ProjectedOpening: 412_34,
		Past: mortgage.MonthlyPayment{PrincipalAndInterest: 841_96, Escrow: 125_00}, CycleMonths: 12,
	}
	content, err := y.AnnualStatement()
	if err != nil {
		t.Fatal(err)
	}
	s := blank(&r, a)
	s.Annual = &content
	all := strings.Join(words(t, s), "\n")
	for _, want := range []string{
		"Final escrow account statement", "We pay all of it, $412.34, back to you by April 7, 2026",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the page does not say %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "coming year") {
		t.Errorf("the page speaks of a coming year:\n%s", all)
	}
	if _, err := s.PDF(); err != nil {
		t.Error(err)
	}
	if _, err := s.JSON(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoStatement(t *testing.T) {
	t.Parallel()

	nameless, empty, both := initial(t), initial(t), initial(t)
	nameless.Servicer.Name, empty.Initial, both.Annual = "", nil, year(t, 0).Annual
	for _, s := range []*statement.Statement{nameless, empty, both} {
		if _, err := s.HTML(); err == nil {
			t.Errorf("HTML of %+v; want ErrNoContent", s)
		}
		if _, err := s.PDF(); err == nil {
			t.Errorf("PDF of %+v; want ErrNoContent", s)
		}
		if _, err := s.JSON(); err == nil {
			t.Errorf("JSON of %+v; want ErrNoContent", s)
		}
	}
}
