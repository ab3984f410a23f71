package server

import (
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"loanserve/mortgage"
)

// date is a calendar day as the API speaks it: YYYY-MM-DD, in the years that a
// mortgage can touch.
type date struct{ mortgage.Date }

// Schema implements huma.SchemaProvider.
func (date) Schema(huma.Registry) *huma.Schema {
	length := len("2006-01-02")
	return &huma.Schema{
		Type: huma.TypeString, Format: "date", MinLength: &length, MaxLength: &length,
		Pattern:            "^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}$",
		PatternDescription: "a calendar day from 1900-01-01 to 2199-12-31, written YYYY-MM-DD",
		Examples:           []any{"2026-01-31"},
	}
}

// instant is a moment as a client writes it. Every spelling of one moment is the
// same instant, to the microsecond, as PostgreSQL keeps it. The zero instant is
// none.
type instant struct{ at time.Time }

// Schema implements huma.SchemaProvider. Of the spellings of RFC 3339 it takes
// the usual one.
func (instant) Schema(huma.Registry) *huma.Schema {
	longest := len("2006-01-02T15:04:05.999999999-07:00")
	return &huma.Schema{
		Type: huma.TypeString, Format: "date-time", MaxLength: &longest,
		Pattern: `^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?` +
			`(Z|[+-][0-9]{2}:[0-9]{2})$`,
		PatternDescription: "an instant of the years 1900 to 2199 as in RFC 3339, with its offset from UTC",
		Examples:           []any{"2026-01-31T16:59:30-05:00"},
	}
}

// IsZero says whether it is no instant.
func (i instant) IsZero() bool { return i.at.IsZero() }

// MarshalText implements encoding.TextMarshaler.
func (i instant) MarshalText() ([]byte, error) { return []byte(i.at.Format(time.RFC3339Nano)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *instant) UnmarshalText(text []byte) error {
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return errNotInstant
	}
	i.at = at.UTC().Truncate(time.Microsecond)
	return nil
}

var errNotInstant = errors.New("not an instant as in RFC 3339")
