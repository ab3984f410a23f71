package mortgage

import "slices"

// A computation year begins with the calendar month of its first payment. Months
// are counted by MonthNumber, so that a database can count them as well.

// MonthNumber returns the number of a day's month, counted from year zero.
func MonthNumber(d Date) int { return monthNumber(d) }

// LastEscrowMonth returns the number of the last month that may begin a
// computation year that is analyzed on a day: so many days of notice before it
// begins, and not before what is scheduled may be assumed, which is two months.
//
// Source: 12 CFR 1024.17(i)(1).
func LastEscrowMonth(asOf Date, noticeDays int) int {
	return min(monthNumber(asOf+1+Date(noticeDays)), monthNumber(asOf+1)+scheduledMonths)
}

// NextEscrowYear returns the first payment of the computation year that is to be
// analyzed next: the latest that begins a whole number of years after last, the
// first payment of the one before, and not after the month of that number. Years
// that nobody analyzed are skipped. It returns false when none has begun by then.
//
// Source: 12 CFR 1024.17(b), a computation year is twelve months.
func NextEscrowYear(last Date, dueDay, upToMonth int) (Date, bool) {
	months := (upToMonth - monthNumber(last)) / monthsPerYear * monthsPerYear
	if months < monthsPerYear {
		return 0, false
	}
	startOn, err := last.AddMonths(months, dueDay)
	return startOn, err == nil
}

// EarlyEscrowYear returns the first payment of a computation year that begins
// early, because the account is analyzed before the running one is over: that of
// the month after the analysis. It returns no date past the calendar's end.
func EarlyEscrowYear(asOf Date, dueDay int) Date {
	startOn, err := firstOfMonth(monthNumber(asOf)+1).AddMonths(0, dueDay)
	if err != nil {
		return 0
	}
	return startOn
}

// EscrowAccountDay returns the day whose end an analysis takes the balance from: its
// own, or the last before the computation year when that has begun.
func EscrowAccountDay(asOf, startOn Date) Date {
	return min(asOf, firstOfMonth(monthNumber(startOn))-1)
}

// EscrowPaymentAt returns what payments, as an analysis lays them out, ask for on
// a due date, and false before the first of them.
func EscrowPaymentAt(payments []EscrowPayment, dueOn Date) (total Cents, ok bool) {
	for i := range payments {
		if payments[i].FromOn <= dueOn {
			total, ok = payments[i].Total(), true
		}
	}
	return total, ok
}

// WithEscrowPayments returns the terms with what an analysis asks for, and the
// changes that this takes, in order. A change of the escrow payment that was to
// come later, because an earlier analysis said so, is overtaken: it is followed by
// one for the same installment. What is asked for already takes no change, and
// nothing does after maturity.
func (t Terms) WithEscrowPayments(payments []EscrowPayment) (Terms, []PaymentChange) {
	if len(payments) == 0 {
		return t, nil
	}
	dates := make([]Date, 0, len(payments)+len(t.Changes.Payments))
	for i := range payments {
		dates = append(dates, payments[i].FromOn)
	}
	for _, c := range t.Changes.Payments {
		if c.EscrowPayment != nil && c.DueOn > payments[0].FromOn {
			dates = append(dates, c.DueOn)
		}
	}
	slices.Sort(dates)
	var changes []PaymentChange
	for _, on := range slices.Compact(dates) {
		total, _ := EscrowPaymentAt(payments, on)
		if on > t.MaturityOn || t.EscrowPaymentFor(on) == total {
			continue
		}
		c := PaymentChange{DueOn: on, EscrowPayment: &total}
		t = t.WithPayment(c)
		changes = append(changes, c)
	}
	return t, changes
}
