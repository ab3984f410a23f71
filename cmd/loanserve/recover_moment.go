package main

import (
	"errors"
	"time"
)

// moment is an instant with its zone, so that nobody has to guess.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) (err error) {
	if m.Time, err = time.Parse(time.RFC3339Nano, string(text)); err != nil {
		return errors.New("must be a time with its zone, such as 2026-11-28T03:04:05Z or 2026-11-28T03:04:05-05:00")
	}
	return nil
}
