// Package localday tells which calendar day and which time of it an instant is
// where a deployment is at home.
//
// Inside: time zones by name, times of day, and the clock on the wall. Not
// inside: what follows from an hour having passed, which is for the one who
// asks.
//
// The idea to hold: what counts is what the clock on the wall shows. On the days
// on which it is put forward or back an hour is missing or comes twice, and
// still every instant has one day and one time.
package localday

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // A machine need not have the zones.

	"loanserve/mortgage"
)

// Hour is a time of day on the clock on the wall, in whole minutes since
// midnight: 0 to 1439, or 1440 for the midnight at the end of the day.
type Hour int

const (
	minutesPerHour = 60
	// Midnight is the end of the day, written 24:00. No time of day reaches it.
	Midnight Hour = 24 * minutesPerHour
)

var errNotHour = errors.New("not a time of day such as 17:00")

// ParseHour reads HH:MM, from 00:00 to 24:00.
func ParseHour(s string) (Hour, error) {
	if s == Midnight.String() {
		return Midnight, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, errNotHour
	}
	return hourOf(t), nil
}

// String returns the time as HH:MM.
func (h Hour) String() string { return fmt.Sprintf("%02d:%02d", h/minutesPerHour, h%minutesPerHour) }

func hourOf(t time.Time) Hour { return Hour(t.Hour()*minutesPerHour + t.Minute()) }

var errNotZone = errors.New("not a time zone of the IANA database such as America/New_York")

// ParseZone returns the time zone with the name in the IANA database. The zone
// of the machine has no such name: two machines can differ in it.
func ParseZone(name string) (*time.Location, error) {
	if name == "" || name == time.Local.String() {
		return nil, errNotZone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errNotZone
	}
	return zone, nil
}

// Of returns the calendar day and the time of day that the instant is in the
// zone.
func Of(at time.Time, zone *time.Location) (mortgage.Date, Hour) {
	local := at.In(zone)
	year, month, day := local.Date()
	return mortgage.DateOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC)), hourOf(local)
}
