package main

import (
	"fmt"
	"io"
	"strings"

	"loanserve/internal/portfolio"
	"loanserve/mortgage"
)

// demoReport is what the demo prints when its work is done.
type demoReport struct {
	outcomes []*demoOutcome
	books    demoBooks
	process  *process
	env      *demoEnv
	private  bool   // the database goes with the demo
	password string // of the demo's people
}

func (r *demoReport) print(w io.Writer, exit bool) error {
	var b strings.Builder
	if err := r.loans(&b); err != nil {
		return err
	}
	if err := r.suspenseExample(&b); err != nil {
		return err
	}
	r.verdict(&b)
	if !exit {
		r.whatNext(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// loans is the table of what happened to each loan.
func (r *demoReport) loans(w io.Writer) error {
	t := newTable("LOAN", "NAME", "PAYMENTS DID",
		" PRINCIPAL", " INTEREST", " ESCROW", " SUSPENSE", "NEXT DUE", " UNPAID PRINCIPAL")
	var all demoSplit
	var unpaid mortgage.Cents
	for _, o := range r.outcomes {
		s := o.total()
		next := o.after.NextDueOn.String()
		if o.after.Status == "paid_off" {
			next = "-"
		}
		t.add(o.loan.Number, o.loan.Name, o.story(), dollars(s.PrincipalCents), dollars(s.InterestCents),
			dollars(s.EscrowCents), dollars(s.SuspenseCents), next, dollars(o.after.PrincipalCents))
		all, unpaid = all.plus(s), unpaid+o.after.PrincipalCents
	}
	t.add("", "", fmt.Sprintf("%d loans", len(r.outcomes)), dollars(all.PrincipalCents), dollars(all.InterestCents),
		dollars(all.EscrowCents), dollars(all.SuspenseCents), "", dollars(unpaid))
	return t.print(w)
}

// suspenseExample is the published example, payment by payment.
func (r *demoReport) suspenseExample(w io.Writer) error {
	for _, o := range r.outcomes {
		if o.loan.Number != portfolio.SuspenseExample {
			continue
		}
		fmt.Fprintf(w, "\n%s, the example of 12 CFR 1026 Supp. I, comment 41(d)(3)-1, "+
			"against a periodic payment of 1,000.00:\n\n", o.loan.Number)
		t := newTable("RECEIVED", " AMOUNT", " APPLIED", " HELD", "WHAT IT DID")
		var held mortgage.Cents
		for _, p := range o.payments {
			var applied mortgage.Cents
			if len(p.Split.InstallmentsSatisfied) > 0 {
				applied = p.AmountCents - p.Split.SuspenseCents
			}
			held += p.Split.SuspenseCents
			t.add(p.ReceivedOn.String(), dollars(p.AmountCents), dollars(applied), dollars(held), p.story())
		}
		return t.print(w)
	}
	return nil
}

// verdict is what the database says of the books.
func (r *demoReport) verdict(w io.Writer) {
	yes := func(n int64, good, bad string) string {
		if n == 0 {
			return good
		}
		return fmt.Sprintf(bad, n)
	}
	b := r.books
	fmt.Fprintf(w, "\nBooks: %d transactions, debits %s, credits %s, trial balance %s; %s; %s.\n",
		b.transactions, dollars(mortgage.Cents(b.debitCents)), dollars(mortgage.Cents(b.creditCents)),
		dollars(mortgage.Cents(b.debitCents-b.creditCents)),
		yes(b.brokenSeals, "every seal intact", "%d SEALS BROKEN"),
		yes(b.unreconciled, "every loan equals its ledger", "%d LOANS DO NOT EQUAL THEIR LEDGER"))
	fmt.Fprintf(w, "Integrity: %d loans checked against their payments, the arithmetic and the register of loans: %s.\n",
		b.integrity.Check.Loans, yes(int64(len(b.integrity.Findings)), "all in order", "%d FINDINGS"))
}

// whatNext says where everything is while the demo stays up.
func (r *demoReport) whatNext(w io.Writer) {
	api, admin := r.process.apiHTTP.url(), r.process.adminHTTP.url()
	fmt.Fprintf(w, "\n  operations      %s/ops as %s, with the password %s\n", api, demoPeopleNames(), r.password)
	fmt.Fprintf(w, "  API             %s/v1/loans\n  documentation   %s/docs\n  contract        %s/openapi.yaml\n"+
		"  metrics         %s/metrics\n  readiness       %s/readyz?verbose\n", api, api, api, admin, admin)
	if r.env.err != nil {
		fmt.Fprintf(w, "\nThe address and a token are not in %s, which cannot be written: %v\n", r.env.path, r.env.err)
	} else {
		fmt.Fprintf(w, "\nIn another terminal, in this directory:\n\n  . %s\n"+
			"  curl -s -H \"Authorization: Bearer $LOANSERVE_TOKEN\" "+
			"\"$LOANSERVE_URL/v1/loans?loan_number=LS-1003\"\n", r.env.path)
	}
	if r.private {
		fmt.Fprint(w, "\nCtrl-C ends the demo and removes its database.\n")
	} else {
		fmt.Fprint(w, "\nCtrl-C ends the demo. Its loans stay in the database, "+
			"where the next demo repeats the same requests.\n")
	}
}
