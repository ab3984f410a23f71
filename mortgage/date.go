package mortgage

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// Date is a calendar day without a time of day or a zone, counted in days so
// that days can be compared and subtracted as numbers. Day 1 is 0001-01-01 of
// the Gregorian calendar; the zero value is no date at all.
type Date int32

// The earliest and the latest day a Date can hold.
const (
	MinDate Date = 1         // 0001-01-01
	MaxDate Date = 3_652_059 // 9999-12-31
)

// ErrNotDate reports text or a value that is not a calendar day.
var ErrNotDate = errors.New("not a calendar day as YYYY-MM-DD")

// unixEpoch is 1970-01-01.
const unixEpoch Date = 719_163

const secondsPerDay = 86_400

// NewDate returns the given day. A month outside 1 to 12 or a day the month
// does not have is ErrNotDate: nothing is carried over.
func NewDate(year, month, day int) (Date, error) {
	if year < 1 || year > 9999 || month < 1 || month > monthsPerYear ||
		day < 1 || day > DaysInMonth(year, month) {
		return 0, ErrNotDate
	}
	return dateOf(year, month, day), nil
}

// ParseDate reads YYYY-MM-DD, exactly ten characters.
func ParseDate(s string) (Date, error) {
	if len(s) != len(time.DateOnly) || s[4] != '-' || s[7] != '-' {
		return 0, ErrNotDate
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:])
	if year < 0 || month < 0 || day < 0 {
		return 0, ErrNotDate
	}
	return NewDate(year, month, day)
}

// digits returns the number that s spells, or -1 when s is not all digits.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// dateOf converts a valid civil day. Years are counted from March, so that the
// leap day is the last of its year (method of Howard Hinnant, "chrono-Compatible
// Low-Level Date Algorithms").
func dateOf(year, month, day int) Date {
	if month <= 2 {
		year--
	}
	era := year / 400
	yearOfEra := year - era*400
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return Date(era*146_097 + dayOfEra - 305)
}

// Civil returns the year, the month (1 to 12) and the day of the month.
func (d Date) Civil() (year, month, day int) {
	z := int(d) + 305
	era := z / 146_097
	dayOfEra := z - era*146_097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36_524 - dayOfEra/146_096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*shifted+2)/5 + 1
	month = (shifted+2)%12 + 1
	year = yearOfEra + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

// DaysInMonth returns 28 to 31, the length of the month (1 to 12) in the year.
func DaysInMonth(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// AddMonths returns the day that many months later, on the given day of the
// month, or on the month's last day where it is shorter. Passing the day apart
// keeps a loan that is due on the 31st from sliding to the 28th for ever after
// its first February. It returns ErrNotDate outside the years 1 to 9999.
func (d Date) AddMonths(months, dayOfMonth int) (Date, error) {
	year, month, _ := d.Civil()
	n := year*monthsPerYear + month - 1 + months
	if n < monthsPerYear {
		return 0, ErrNotDate
	}
	year, month = n/monthsPerYear, n%monthsPerYear+1
	return NewDate(year, month, min(dayOfMonth, DaysInMonth(year, month)))
}

// IsZero says whether d is no date.
func (d Date) IsZero() bool { return d == 0 }

// String returns the day as YYYY-MM-DD, and "" for no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	year, month, day := d.Civil()
	if d < MinDate || d > MaxDate {
		return fmt.Sprintf("%d-%02d-%02d", year, month, day)
	}
	digit := func(n int) byte { return byte('0' + n%10) }
	return string([]byte{
		digit(year / 1000), digit(year / 100), digit(year / 10), digit(year), '-',
		digit(month / 10), digit(month), '-', digit(day / 10), digit(day),
	})
}

// MarshalText implements encoding.TextMarshaler; no date is ErrNotDate.
func (d Date) MarshalText() ([]byte, error) {
	if d < MinDate || d > MaxDate {
		return nil, ErrNotDate
	}
	return []byte(d.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; see ParseDate.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := ParseDate(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}

// DateOf returns the calendar day of an instant in UTC.
func DateOf(t time.Time) Date {
	seconds := t.Unix()
	days := seconds / secondsPerDay
	if seconds%secondsPerDay < 0 {
		days--
	}
	return unixEpoch + Date(days)
}

// Scan implements sql.Scanner for date columns. NULL is no date; infinity, a
// year outside 1 to 9999 and anything else that is not a date is ErrNotDate.
func (d *Date) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d = 0
	case time.Time:
		if year := v.UTC().Year(); year < 1 || year > 9999 {
			return ErrNotDate
		}
		*d = DateOf(v)
	default:
		return fmt.Errorf("scan %T: %w", src, ErrNotDate)
	}
	return nil
}

// Value implements driver.Valuer; no date is NULL.
func (d Date) Value() (driver.Value, error) {
	if d.IsZero() {
		return nil, nil //nolint:nilnil // That is how a Valuer says NULL.
	}
	if d < MinDate || d > MaxDate {
		return nil, ErrNotDate
	}
	return time.Unix(int64(d-unixEpoch)*secondsPerDay, 0).UTC(), nil
}
