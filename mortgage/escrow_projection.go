package mortgage

import "math/bits"

// Long bills are saved for over all their cycle. With bills every 2, 3, 4 and 5
// years it repeats after 60 years, the least common multiple.
const cycleParts = 720

// EscrowProjectedBill is one bill of the coming computation year.
type EscrowProjectedBill struct {
	Item   int           `json:"item"` // where it stands in the request
	Bill   int           `json:"bill"`
	DueOn  Date          `json:"due_on"`
	PayOn  Date          `json:"pay_on"` // when it is planned to be paid
	Amount Cents         `json:"amount_cents"`
	Basis  EstimateBasis `json:"basis"`
}

// escrowProjection is what the bills of an account come to.
type escrowProjection struct {
	start   int // number of the first month of the year
	paidOut [monthsPerYear + 1]Cents
	bills   []EscrowProjectedBill

	before Cents // bills that are paid before the year begins

	// Sums of cycleParts months: those of all bills, of the bills that come every
	// year or more often, and of those that count for the cushion.
	sum, shortSum, cushionSum Cents

	long  []longBill
	cycle int // months after which the account repeats
}

// longBill is a bill that comes less often than every year.
type longBill struct {
	amount       Cents
	first, every int // the month of the year in which it first comes, 1 the first
}

// monthNumber counts months, so that they can be added and compared.
func monthNumber(d Date) int {
	year, month, _ := d.Civil()
	return year*monthsPerYear + month - 1
}

// firstOfMonth returns the first day of a month that monthNumber counted.
func firstOfMonth(n int) Date { return dateOf(n/monthsPerYear, n%monthsPerYear+1, 1) }

// monthsAfter is AddMonths for the days that an account may speak of: what
// follows from them is on the calendar.
func monthsAfter(d Date, months, dayOfMonth int) Date {
	on, _ := d.AddMonths(months, dayOfMonth)
	return on
}

// project lays the bills out over the twelve months that begin with the month of
// start.
//
// Bills that come every year or more often are those that fall into the year: a
// charge that ends counts until it ends. Rarer ones count with the part of them
// that a year saves, whether or not they fall into it.
func project(items []EscrowItem, start Date, p *EscrowPolicy) escrowProjection {
	j := escrowProjection{start: monthNumber(start), cycle: monthsPerYear}
	room := 0
	for i := range items {
		room += len(items[i].Bills) * max(monthsPerYear/items[i].EveryMonths, 1)
	}
	j.bills = make([]EscrowProjectedBill, 0, room)
	for i := range items {
		for b := range items[i].Bills {
			j.add(&items[i], i, b, p)
		}
	}
	return j
}

// add lays out one bill.
//
// One that was paid in the month before the year although its deadline lay in
// the year's first month, because a weekend or a lead came between, is planned
// for the same time a year on (see early).
func (j *escrowProjection) add(item *EscrowItem, i, n int, p *EscrowPolicy) {
	bill, every := &item.Bills[n], item.EveryMonths
	amount, basis := bill.Estimate(p.EstimateChange)
	planned := bill.Deadline() - Date(p.LeadDays)
	first := monthNumber(planned) - j.start + 1
	early := bill.early(every, j.start, planned)
	var inYear Cents
	_, _, dueDay := bill.DueOn.Civil()
	_, _, payDay := planned.Civil()
	for k := 0; first+k*every-early <= monthsPerYear; k++ {
		dueOn := monthsAfter(bill.DueOn, k*every, dueDay)
		if bill.EndsOn != 0 && dueOn > bill.EndsOn {
			break
		}
		month := first + k*every - early
		if month < 1 {
			j.before += amount
			continue
		}
		payOn := monthsAfter(planned, k*every, payDay)
		if early > 0 {
			payOn = firstOfMonth(monthNumber(payOn)) - 1
		}
		inYear += amount
		j.paidOut[month] += amount
		j.bills = append(j.bills, EscrowProjectedBill{
			Item: i, Bill: n, DueOn: dueOn, PayOn: payOn, Amount: amount, Basis: basis,
		})
	}
	sum := inYear * (cycleParts / monthsPerYear)
	if every <= monthsPerYear {
		j.shortSum += sum
	} else {
		sum = j.addLong(amount, first, every)
	}
	j.sum += sum
	if !item.OutsideCushion {
		j.cushionSum += sum
	}
}

// early returns 1 for a bill that was paid in the month before the year although its
// deadline lay in the year's first month: it is planned a month earlier again.
// Otherwise it would be in no year.
func (b *EscrowBill) early(everyMonths, start int, planned Date) int {
	if everyMonths <= monthsPerYear && monthNumber(planned)-start == everyMonths &&
		b.LastPaidOn != 0 && monthNumber(b.LastPaidOn) == start-1 {
		return 1
	}
	return 0
}

// addLong remembers a bill that comes less often than every year, and returns
// what it comes to in cycleParts months.
func (j *escrowProjection) addLong(amount Cents, first, every int) Cents {
	for first < 1 {
		first += every
	}
	j.long = append(j.long, longBill{amount: amount, first: first, every: every})
	j.cycle = leastCommonMultiple(j.cycle, every)
	return amount * Cents(cycleParts/every)
}

// payment returns the monthly payment: a twelfth of a year's bills.
//
// Source: 12 CFR 1024.17(c)(1)(ii).
func (j *escrowProjection) payment(r EscrowRounding) Cents {
	if r == EscrowRoundDown {
		return j.sum / cycleParts
	}
	return (j.sum + cycleParts/2) / cycleParts
}

// lowest returns the lowest month-end balance of the trial that begins with
// nothing, and the month in which it first comes, 1 the first of the year.
//
// A year suffices when every bill comes every year. Otherwise the trial goes on
// until the account repeats: in later years the yearly bills come again as in
// the first, and what is saved for the others is added up exactly.
//
// Sources: 12 CFR 1024.17(d)(2)(i)(B); (c)(9), the low point of a bill every
// three years is on a three-year cycle.
func (j *escrowProjection) lowest(payment Cents) (low Cents, month int) {
	var balance Cents
	for m := 1; m <= monthsPerYear; m++ {
		balance += payment - j.paidOut[m]
		if m == 1 || balance < low {
			low, month = balance, m
		}
	}
	if len(j.long) == 0 {
		return low, month
	}
	yearly := j.yearlyPaidOut()
	saved := j.sum - j.shortSum
	for m := monthsPerYear + 1; m <= j.cycle; m++ {
		years, months := (m-1)/monthsPerYear, (m-1)%monthsPerYear+1
		balance = payment*Cents(months) + saved*Cents(years*monthsPerYear)/cycleParts - yearly[months]
		for _, b := range j.long {
			if m >= b.first {
				balance -= b.amount * Cents((m-b.first)/b.every+1)
			}
		}
		if balance < low {
			low, month = balance, m
		}
	}
	return low, month
}

// yearlyPaidOut returns what the yearly bills have taken by the end of each
// month of a year.
func (j *escrowProjection) yearlyPaidOut() (taken [monthsPerYear + 1]Cents) {
	for m := 1; m <= monthsPerYear; m++ {
		taken[m] = taken[m-1] + j.paidOut[m]
	}
	for _, b := range j.long {
		for m := b.first; m <= monthsPerYear; m++ {
			taken[m] -= b.amount
		}
	}
	return taken
}

// cushion returns the cushion and what decided it: the policy's part of a year's
// bills, or less where the loan's documents or its state ask for less. It is
// rounded down, since it may be no greater.
//
// Sources: 12 CFR 1024.17(c)(5), (c)(8), (d)(1).
func (j *escrowProjection) cushion(months int, limits []CushionLimit) (Cents, EscrowRule) {
	cushion, rule := j.cushionSum*Cents(months)/cycleParts, EscrowRuleChosenCushion
	if months == MaxEscrowCushionMonths {
		rule = EscrowRuleCushion
	}
	lower := func(to Cents) {
		if to < cushion {
			cushion, rule = to, EscrowRuleLowerCushion
		}
	}
	for _, l := range limits {
		if l.Months != nil && *l.Months < months {
			lower(j.cushionSum * Cents(*l.Months) / cycleParts)
		}
		if l.Rate != nil && *l.Rate < MaxRate {
			hi, lo := bits.Mul64(uint64(j.cushionSum), uint64(*l.Rate))
			part, _ := bits.Div64(hi, lo, cycleParts/monthsPerYear*ppm)
			lower(Cents(part))
		}
		if l.Amount != nil {
			lower(*l.Amount)
		}
	}
	return cushion, rule
}

func leastCommonMultiple(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}
