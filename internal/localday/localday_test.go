package localday_test

import (
	"testing"
	"time"

	"loanserve/internal/localday"
)

func TestParseHour(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]localday.Hour{
		"00:00": 0, "00:30": 30, "17:00": 17 * 60, "23:59": 24*60 - 1, "24:00": localday.Midnight,
	} {
		got, err := localday.ParseHour(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseHour(%q) = %d (%v), %v; want %d", text, got, got, err, want)
		}
	}
	for _, text := range []string{
		"", "5", "5:00", "05:0", "17", "17:00:00", "17:60", "24:01", "25:00", "-1:00", "5 p.m.", " 17:00",
	} {
		if got, err := localday.ParseHour(text); err == nil {
			t.Errorf("ParseHour(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseZone(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"America/New_York", "America/Chicago", "Pacific/Honolulu", "UTC"} {
		zone, err := localday.ParseZone(name)
		if err != nil || zone.String() != name {
			t.Errorf("ParseZone(%q) = %v, %v", name, zone, err)
		}
	}
	for _, name := range []string{"", "Local", "EDT5", "America/Nowhere", "../etc/passwd"} {
		if zone, err := localday.ParseZone(name); err == nil {
			t.Errorf("ParseZone(%q) = %v, want an error", name, zone)
		}
	}
}

// The days are those of the public tables of time zones: in New York the clock
// is put forward on 2026-03-08 and back on 2026-11-01, both at two in the
// morning; in Santiago it is put forward at midnight, so that 2026-09-06 begins
// at one; Apia had no 2011-12-30.
func TestOf(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		zone, at, day, hour string
	}{
		"an evening in the east is tomorrow in UTC":  {"America/New_York", "2026-01-16T01:30:00Z", "2026-01-15", "20:30"},
		"the same instant in the west":               {"America/Los_Angeles", "2026-01-16T01:30:00Z", "2026-01-15", "17:30"},
		"the same instant in UTC":                    {"UTC", "2026-01-16T01:30:00Z", "2026-01-16", "01:30"},
		"the offset in which it is written is none":  {"America/New_York", "2026-01-15T22:30:00-03:00", "2026-01-15", "20:30"},
		"the last second before a minute":            {"America/New_York", "2026-01-15T21:59:59.999999Z", "2026-01-15", "16:59"},
		"the last instant before the clock goes on":  {"America/New_York", "2026-03-08T06:59:59Z", "2026-03-08", "01:59"},
		"a second later it shows three":              {"America/New_York", "2026-03-08T07:00:00Z", "2026-03-08", "03:00"},
		"an afternoon in summer":                     {"America/New_York", "2026-07-01T21:00:00Z", "2026-07-01", "17:00"},
		"half past one for the first time":           {"America/New_York", "2026-11-01T05:30:00Z", "2026-11-01", "01:30"},
		"half past one for the second time":          {"America/New_York", "2026-11-01T06:30:00Z", "2026-11-01", "01:30"},
		"a day without its first hour, and before":   {"America/Santiago", "2026-09-06T03:59:59Z", "2026-09-05", "23:59"},
		"a day without its first hour, and begun":    {"America/Santiago", "2026-09-06T04:00:00Z", "2026-09-06", "01:00"},
		"the end of the day before one that was not": {"Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29", "23:59"},
		"the day after one that was not":             {"Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31", "00:00"},
		"the leap day":                               {"America/New_York", "2028-03-01T04:59:00Z", "2028-02-29", "23:59"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			zone, err := localday.ParseZone(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			day, hour := localday.Of(at, zone)
			if day.String() != tt.day || hour.String() != tt.hour {
				t.Errorf("Of(%s, %s) = %v, %v; want %s, %s", tt.at, tt.zone, day, hour, tt.day, tt.hour)
			}
		})
	}
}
