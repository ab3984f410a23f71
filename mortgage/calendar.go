package mortgage

// Two calendars are kept apart, because they answer different questions and
// differ on real days. The banks' says when money moves: a holiday on a Sunday
// closes them on Monday. The law's says which days a deadline does not count:
// only the very days that the statute names.

// The days of the week, as the remainder of a Date by seven. 0001-01-01, day 1,
// is a Monday of the Gregorian calendar.
const (
	sunday Date = iota
	monday
	_
	_
	thursday
	_
	saturday

	daysPerWeek Date = 7
)

// The years from which the law names its days as it does now.
const (
	uniformMondays    = 1971 // Pub. L. 90-363: Monday holidays, and Columbus Day
	veteransNovember  = 1978 // Pub. L. 94-97: back from the fourth Monday of October
	kingBirthday      = 1986 // Pub. L. 98-144
	legalJuneteenth   = 2021 // Pub. L. 117-17, signed on 2021-06-17
	bankingJuneteenth = 2022 // the Reserve Banks worked on Friday, 2021-06-18
)

// refundDays is how many days a servicer has to return an escrow balance.
const refundDays = 20

// IsBankHoliday says whether the Federal Reserve Banks keep d as a holiday: the
// holiday itself, on whatever day of the week, and the Monday after one that
// falls on a Sunday. A holiday on a Saturday is not moved: the banks are open on
// the Friday before. It speaks for 1971 and later; earlier years hold none.
//
// Sources: Federal Reserve Banks, holiday schedule (Federal Reserve Bank of
// Richmond, richmondfed.org/about_us/holiday_schedule); for 2021, Federal
// Reserve Board, press release of 2021-06-17. That the banks kept the days of
// 5 U.S.C. 6103(a) in every year before the published schedules is ours.
func IsBankHoliday(d Date) bool {
	return isHoliday(d, bankingJuneteenth) ||
		d%daysPerWeek == monday && isHoliday(d-1, bankingJuneteenth)
}

// IsBusinessDay says whether d is a day on which the Federal Reserve Banks
// settle payments: not a Saturday, not a Sunday, not a bank holiday.
func IsBusinessDay(d Date) bool {
	return !isWeekend(d) && !IsBankHoliday(d)
}

// NextBusinessDay returns the first business day after d, never d itself. It
// returns no date when there is none up to MaxDate.
func NextBusinessDay(d Date) Date { return AddBusinessDays(d, 1) }

// AddBusinessDays returns the nth business day after d, or before it when n is
// negative. For zero it is d itself when that is a business day, and the next
// one when it is not. It returns no date outside MinDate to MaxDate.
func AddBusinessDays(d Date, n int) Date {
	if n == 0 {
		if d >= MinDate && d <= MaxDate && IsBusinessDay(d) {
			return d
		}
		n = 1
	}
	return countDays(d, n, IsBusinessDay)
}

// IsLegalHoliday says whether d is a legal public holiday: one of the days that
// 5 U.S.C. 6103(a) names, and no other. It speaks for 1971 and later; earlier
// years hold none.
//
// Offices also close on the Friday before a holiday on a Saturday and the Monday
// after one on a Sunday. Those days are not legal public holidays: 6103(b) and
// Executive Order 11582 set them aside for the pay and leave of federal
// employees. So says Regulation Z of the Friday (12 CFR 1026, Supplement I,
// comment 2(a)(6)-2); that Regulation X and the Monday are no different is ours,
// and it yields the earlier deadline.
func IsLegalHoliday(d Date) bool { return isHoliday(d, legalJuneteenth) }

// RefundDueOn returns the last day on which what remains in escrow may be
// returned to a borrower who paid the loan in full on payoffOn: the twentieth
// day after it, not counting legal public holidays, Saturdays and Sundays. It
// returns no date outside MinDate to MaxDate.
//
// Source: 12 CFR 1024.34(b)(1).
func RefundDueOn(payoffOn Date) Date {
	return countDays(payoffOn, refundDays, func(d Date) bool {
		return !isWeekend(d) && !IsLegalHoliday(d)
	})
}

func isWeekend(d Date) bool {
	return d%daysPerWeek == saturday || d%daysPerWeek == sunday
}

// isHoliday says whether d is a day that 5 U.S.C. 6103(a) names under the law of
// its year, with Juneteenth from the given year on.
func isHoliday(d Date, juneteenth int) bool {
	year, month, day := d.Civil()
	if year < uniformMondays {
		return false
	}
	onMonday := d%daysPerWeek == monday
	nth := (day + 6) / 7 // it is the nth such day of the week in its month
	switch month {
	case 1: // New Year's Day; Birthday of Martin Luther King, Jr.
		return day == 1 || onMonday && nth == 3 && year >= kingBirthday
	case 2: // Washington's Birthday
		return onMonday && nth == 3
	case 5: // Memorial Day, the last Monday
		return onMonday && day > DaysInMonth(year, month)-7
	case 6: // Juneteenth National Independence Day
		return day == 19 && year >= juneteenth
	case 7: // Independence Day
		return day == 4
	case 9: // Labor Day
		return onMonday && nth == 1
	case 10: // Columbus Day; Veterans Day, for seven years
		return onMonday && (nth == 2 || nth == 4 && year < veteransNovember)
	case 11: // Veterans Day; Thanksgiving Day
		return day == 11 && year >= veteransNovember || d%daysPerWeek == thursday && nth == 4
	case 12: // Christmas Day
		return day == 25
	default:
		return false
	}
}

// countDays returns the nth day after d that counts, or before it when n is
// negative, and no date when the calendar ends first.
func countDays(d Date, n int, counts func(Date) bool) Date {
	step := Date(1)
	if n < 0 {
		n, step = -n, -1
	}
	if d < MinDate || d > MaxDate {
		return 0
	}
	for n > 0 {
		d += step
		if d < MinDate || d > MaxDate {
			return 0
		}
		if counts(d) {
			n--
		}
	}
	return d
}
