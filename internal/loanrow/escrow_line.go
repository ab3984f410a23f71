package loanrow

import (
	"fmt"

	"loanserve/mortgage"
	"loanserve/queries"
)

// NextCycle returns a line after its cycle: the next bill's dates come every_months
// later, each on its own day of the month or the month's last, and amount is what the
// cycle's bills came to. What the next one comes to is no longer known.
func NextCycle(row queries.EscrowLine, amount mortgage.Cents) (queries.EscrowLine, error) {
	day := DueDay(&row)
	months := int(row.EveryMonths)
	var err error
	if row.NextDueOn, err = row.NextDueOn.AddMonths(months, int(day)); err != nil {
		return row, fmt.Errorf("next due date of line %d: %w", row.ID, err)
	}
	for _, on := range []*mortgage.Date{&row.NextDiscountOn, &row.NextPenaltyOn} {
		if *on == 0 {
			continue
		}
		_, _, own := on.Civil()
		if *on, err = on.AddMonths(months, own); err != nil {
			return row, fmt.Errorf("next deadline of line %d: %w", row.ID, err)
		}
	}
	row.DueDay, row.AmountCents, row.KnownCents = &day, amount, nil
	return row, nil
}

// DueDay is the day of the month of a line's bills, which next_due_on falls short of in
// a shorter month.
func DueDay(row *queries.EscrowLine) int16 {
	if row.DueDay != nil {
		on, err := row.NextDueOn.AddMonths(0, int(*row.DueDay))
		if err == nil && on == row.NextDueOn {
			return *row.DueDay
		}
	}
	_, _, day := row.NextDueOn.Civil()
	return int16(day)
}

// SameCycle says whether two days name the same cycle of a line: they are less than
// half of one apart. Somebody may have moved the line's date while its bill waited, and
// a bill is not paid twice for that.
func SameCycle(row *queries.EscrowLine, on, other mortgage.Date) bool {
	after, before := CycleBounds(row, other)
	return on > after && on < before
}

// CycleBounds returns the days between which, both left out, a day names the same cycle
// of a line.
func CycleBounds(row *queries.EscrowLine, on mortgage.Date) (after, before mortgage.Date) {
	const halfMonth = 15
	half := halfMonth * mortgage.Date(row.EveryMonths)
	return on - half, on + half
}
