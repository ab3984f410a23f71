package instruction_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"loanserve/internal/instruction"
	"loanserve/internal/remittance"
	"loanserve/mortgage"
)

var (
	createdAt  = time.Date(2026, 2, 9, 14, 5, 0, 0, time.UTC)
	originator = instruction.Originator{
		BankRouting: "021000021", BankName: "FIRST EXAMPLE BANK", CompanyID: "1234567890", CompanyName: "LOANSERVE",
	}
)

func day(t *testing.T, s string) mortgage.Date {
	t.Helper()
	d, err := mortgage.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// samples are payments with all that is awkward: accents, long names, quotes, savings.
func samples(t *testing.T) []instruction.Payment {
	t.Helper()
	due, paid := day(t, "2026-02-12"), day(t, "2026-02-09")
	return []instruction.Payment{
		{
			Ref: "0197c000-0000-7000-8000-000000000001", Kind: "bill", LoanNumber: "LS-1001", Payee: "Sangamon County",
			Amount: 1_800_00, DueOn: due, PaidOn: paid,
			Account: instruction.Account{Routing: "091000019", Number: "12345678901234567"},
		},
		{
			Ref: "0197c000-0000-7000-8000-000000000002", Kind: "bill", LoanNumber: "A-LOAN-NUMBER-OF-FORTY-CHARACTERS-000002",
			Payee: "Überall Versicherung, \"Hazard\" and Wind Mutual", Amount: 1, DueOn: due, PaidOn: paid,
			Account: instruction.Account{Routing: "122105278", Number: "7-7", Savings: true},
		},
		{
			Ref: "0197c000-0000-7000-8000-000000000003", Kind: "surplus_refund", LoanNumber: "LS-1003", Payee: "Pat Sample",
			Amount: instruction.MaxACH, DueOn: due, PaidOn: paid,
			Account: instruction.Account{Routing: "011000015", Number: "1"},
		},
	}
}

// The bytes are those of the committed files; look at them before you change them.
func TestGolden(t *testing.T) {
	t.Parallel()
	ach, err := instruction.NACHA(originator, createdAt, 1, day(t, "2026-02-10"), samples(t))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := instruction.CSV(samples(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"credits.ach": ach, "credits.csv": lines} {
		want, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is written as\n%s\nwant\n%s", name, got, want)
		}
	}
}

// What is written the reader of remittances reads: every count, total and hash ties.
func TestNACHAIsReadBack(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(20261124, 1))
	routings := []string{"021000021", "091000019", "122105278", "011000015", "121000248"}
	for n := 1; n < 200; n += 1 + random.IntN(12) {
		payments := make([]instruction.Payment, n)
		for i := range payments {
			payments[i] = instruction.Payment{
				Ref: fmt.Sprintf("0197c000-0000-7000-8000-%012d", i), LoanNumber: fmt.Sprintf("LS-%d", random.IntN(1e9)),
				Payee:   strings.Repeat("é", random.IntN(30)) + "X",
				Amount:  1 + mortgage.Cents(random.Int64N(int64(instruction.MaxACH)/200)),
				Account: instruction.Account{Routing: routings[random.IntN(len(routings))], Number: fmt.Sprint(random.IntN(1e9))},
			}
		}
		text, err := instruction.NACHA(originator, createdAt, random.IntN(36), day(t, "2026-02-10"), payments)
		if err != nil {
			t.Fatalf("%d payments: %v", n, err)
		}
		file, err := remittance.Read(remittance.FormatNACHA, bytes.NewReader(text), nil, remittance.Limits{})
		if err != nil {
			t.Fatalf("%d payments: %v\n%s", n, err, text)
		}
		if len(file.Items) != n {
			t.Fatalf("%d of %d payments were read", len(file.Items), n)
		}
		for i, item := range file.Items {
			if item.LoanNumber != payments[i].LoanNumber || item.AmountCents != payments[i].Amount {
				t.Fatalf("payment %d is read as %+v; want %+v", i, item, payments[i])
			}
		}
	}
}

func TestNACHARefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]func(o *instruction.Originator, nth *int, p *[]instruction.Payment){
		"no payments":             func(_ *instruction.Originator, _ *int, p *[]instruction.Payment) { *p = nil },
		"the 37th file of a day":  func(_ *instruction.Originator, nth *int, _ *[]instruction.Payment) { *nth = 36 },
		"a bank with a typo":      func(o *instruction.Originator, _ *int, _ *[]instruction.Payment) { o.BankRouting = "021000022" },
		"a company without an id": func(o *instruction.Originator, _ *int, _ *[]instruction.Payment) { o.CompanyID = "" },
		"an amount without room": func(_ *instruction.Originator, _ *int, p *[]instruction.Payment) {
			(*p)[0].Amount = instruction.MaxACH + 1
		},
		"nothing": func(_ *instruction.Originator, _ *int, p *[]instruction.Payment) { (*p)[0].Amount = 0 },
		"a payee with a typo": func(_ *instruction.Originator, _ *int, p *[]instruction.Payment) {
			(*p)[0].Account.Routing = "091000018"
		},
		"no account": func(_ *instruction.Originator, _ *int, p *[]instruction.Payment) { (*p)[0].Account.Number = "" },
		"letters in a routing": func(_ *instruction.Originator, _ *int, p *[]instruction.Payment) {
			(*p)[0].Account.Routing = "09100001x"
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, nth, payments := originator, 0, samples(t)
			spoil(&o, &nth, &payments)
			_, err := instruction.NACHA(o, createdAt, nth, day(t, "2026-02-10"), payments)
			if !errors.Is(err, instruction.ErrCannotWrite) {
				t.Errorf("NACHA = %v; want ErrCannotWrite", err)
			}
		})
	}
}
