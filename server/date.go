package server

import (
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
