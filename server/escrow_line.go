package server

import (
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"loanserve/mortgage"
	"loanserve/queries"
)

// EscrowLine is a bill that escrow pays, again and again, as a client states it. Its
// dates are those of the first one that is not paid.
type EscrowLine struct {
	Kind           queries.EscrowLineKind `json:"kind" enum:"county_tax,city_tax,school_tax,hazard_insurance,flood_insurance,wind_insurance,mortgage_insurance,hoa,other_tax,earthquake_insurance,ground_rent,other"`
	Payee          string                 `json:"payee" minLength:"1" maxLength:"200"`
	AmountCents    mortgage.Cents         `json:"amount_cents" minimum:"1" maximum:"10000000000" doc:"What the last bill came to."`
	EveryMonths    int16                  `json:"every_months" minimum:"1" maximum:"60" doc:"After how many months the bill comes again: 1, 2, 3, 4, 6, 12, 24, 36, 48 or 60."`
	NextDueOn      date                   `json:"next_due_on" doc:"When the next bill is due."`
	KnownCents     *mortgage.Cents        `json:"known_cents,omitzero" nullable:"false" minimum:"0" maximum:"10000000000" doc:"What the next bill comes to, where that is known."`
	Comparable     bool                   `json:"comparable,omitzero" doc:"Whether amount_cents is that of comparable property: new, unassessed construction."`
	NextDiscountOn date                   `json:"next_discount_on,omitzero" doc:"The last day for the next bill's discount."`
	NextPenaltyOn  date                   `json:"next_penalty_on,omitzero" doc:"The last day without a penalty; without it, next_due_on."`
	DiscountCents  mortgage.Cents         `json:"discount_cents,omitzero" minimum:"0" maximum:"10000000000" doc:"What paying by next_discount_on takes off."`
	EndsOn         date                   `json:"ends_on,omitzero" doc:"No bill is due after this day. Not for bills that come less often than every year."`
	LastPaidOn     date                   `json:"last_paid_on,omitzero" doc:"When the bill before was paid."`
	OutsideCushion bool                   `json:"outside_cushion,omitzero" doc:"Whether the cushion is not a part of it, as with the mortgage insurance of some loans."`
}

// storedLine is a line as the API shows it.
type storedLine struct {
	LineID int64 `json:"line_id"`
	LoanID int64 `json:"loan_id"`

	EscrowLine

	Version   int32     `json:"version" doc:"Counts its changes. In quotes it is the ETag."`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at,omitzero" doc:"Nothing is collected or paid for it any more."`
	EndedBy   string    `json:"ended_by,omitzero"`
}

func escrowLineOf(e *queries.EscrowLine) EscrowLine {
	return EscrowLine{
		Kind: e.Kind, Payee: e.Payee, AmountCents: e.AmountCents, EveryMonths: e.EveryMonths,
		NextDueOn: date{e.NextDueOn}, KnownCents: e.KnownCents, Comparable: e.Comparable,
		NextDiscountOn: date{e.NextDiscountOn}, NextPenaltyOn: date{e.NextPenaltyOn}, DiscountCents: e.DiscountCents,
		EndsOn: date{e.EndsOn}, LastPaidOn: date{e.LastPaidOn}, OutsideCushion: e.OutsideCushion,
	}
}

func storedLineOf(e *queries.EscrowLine) storedLine {
	shown := storedLine{
		LineID: e.ID, LoanID: e.LoanID, EscrowLine: escrowLineOf(e), Version: e.Version, CreatedAt: e.CreatedAt.UTC(),
	}
	if e.EndedAt != nil {
		shown.EndedAt, shown.EndedBy = e.EndedAt.UTC(), *e.EndedBy
	}
	return shown
}

// etag is the line's version as If-Match wants it.
func (e *storedLine) etag() string { return strconv.Quote(strconv.Itoa(int(e.Version))) }

// insertParams is the row of a line of a loan.
func (e *EscrowLine) insertParams(loan int64) queries.InsertEscrowLineParams {
	return queries.InsertEscrowLineParams{
		LoanID: loan, Kind: e.Kind, Payee: e.Payee, AmountCents: e.AmountCents, EveryMonths: e.EveryMonths,
		NextDueOn: e.NextDueOn.Date, KnownCents: e.KnownCents, Comparable: e.Comparable,
		NextDiscountOn: e.NextDiscountOn.Date, NextPenaltyOn: e.NextPenaltyOn.Date, DiscountCents: e.DiscountCents,
		EndsOn: e.EndsOn.Date, LastPaidOn: e.LastPaidOn.Date, OutsideCushion: e.OutsideCushion,
	}
}

// check says what the schema cannot: what does not fit together. The pointer is that
// of the line.
func (e *EscrowLine) check(pointer string) []fault {
	var faults []fault
	wrong := func(member, detail string) { faults = append(faults, inBody(pointer+"/"+member, detail)) }
	if !mortgage.KnownEscrowCycle(int(e.EveryMonths)) {
		wrong("every_months", "must be 1, 2, 3, 4, 6, 12, 24, 36, 48 or 60")
	}
	if e.DiscountCents > 0 && e.NextDiscountOn.IsZero() {
		wrong("next_discount_on", "is needed with discount_cents")
	}
	if !e.EndsOn.IsZero() && e.EveryMonths > 12 {
		wrong("ends_on", "must be left out for a bill that comes less often than every year")
	}
	return faults
}

// patch is a member of a merge patch (RFC 7396): left out, null, or a value.
type patch[T any] struct {
	set   bool
	value *T // nil for null
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *patch[T]) UnmarshalJSON(text []byte) error {
	p.set = true
	return json.Unmarshal(text, &p.value, strict)
}

// Schema implements huma.SchemaProvider: the value's own, or null.
func (patch[T]) Schema(r huma.Registry) *huma.Schema {
	s := *huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return &s
}

// to sets what the member is for; null sets nothing.
func (p patch[T]) to(target **T) {
	if p.set {
		*target = p.value
	}
}

// toValue sets what the member is for; null sets the zero value.
func (p patch[T]) toValue(target *T) {
	if p.set {
		*target = *new(T)
		if p.value != nil {
			*target = *p.value
		}
	}
}
