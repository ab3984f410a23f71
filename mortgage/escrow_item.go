package mortgage

import "fmt"

// EscrowItemKind says what an escrow item is for.
type EscrowItemKind string

// The kinds of escrow items.
const (
	EscrowCountyTax           EscrowItemKind = "county_tax"
	EscrowCityTax             EscrowItemKind = "city_tax"
	EscrowSchoolTax           EscrowItemKind = "school_tax"
	EscrowOtherTax            EscrowItemKind = "other_tax" // special districts, assessments
	EscrowHazardInsurance     EscrowItemKind = "hazard_insurance"
	EscrowFloodInsurance      EscrowItemKind = "flood_insurance"
	EscrowWindInsurance       EscrowItemKind = "wind_insurance"
	EscrowEarthquakeInsurance EscrowItemKind = "earthquake_insurance"
	EscrowMortgageInsurance   EscrowItemKind = "mortgage_insurance"
	EscrowAssociationDues     EscrowItemKind = "hoa" // of homeowners' and condominium associations
	EscrowGroundRent          EscrowItemKind = "ground_rent"
	EscrowOther               EscrowItemKind = "other"
)

// PropertyTax says whether 12 CFR 1024.17(k)(3) applies to bills of this kind.
func (k EscrowItemKind) PropertyTax() bool {
	return k == EscrowCountyTax || k == EscrowCityTax || k == EscrowSchoolTax || k == EscrowOtherTax
}

// HazardInsurance says whether 12 CFR 1024.17(k)(5) applies to bills of this
// kind. Its definition in 12 CFR 1024.31 names fire, wind, flood and earthquake.
func (k EscrowItemKind) HazardInsurance() bool {
	return k == EscrowHazardInsurance || k == EscrowFloodInsurance ||
		k == EscrowWindInsurance || k == EscrowEarthquakeInsurance
}

// known says whether k is one of the constants.
func (k EscrowItemKind) known() bool {
	switch k {
	case EscrowMortgageInsurance, EscrowAssociationDues, EscrowGroundRent, EscrowOther:
		return true
	default:
		return k.PropertyTax() || k.HazardInsurance()
	}
}

// The limits of an account.
const (
	MaxEscrowItems = 64
	MaxEscrowBills = 12 // of one item
)

// EscrowItem is one expense that is paid from an escrow account. With several
// payments to one payee it remains one item (12 CFR 1024.17(b)).
type EscrowItem struct {
	Kind  EscrowItemKind `json:"kind"`
	Payee string         `json:"payee"`

	// EveryMonths is after how many months each of the bills comes again: 1, 2, 3,
	// 4, 6, 12, 24, 36, 48 or 60. Two unequal bills a year are two bills that come
	// every 12 months; four equal ones are one that comes every 3.
	EveryMonths int          `json:"every_months"`
	Bills       []EscrowBill `json:"bills"`

	// OutsideCushion leaves the item out of what the cushion is a part of, as some
	// loan documents do with monthly mortgage insurance. The regulation counts
	// every item; a lower cushion is always allowed.
	OutsideCushion bool `json:"outside_cushion,omitzero"`
}

// EscrowBill is a bill that comes again and again. Its dates are those of the
// first one that has not been paid when the analysis looks at the account: later
// ones follow, earlier ones are in the balance already.
type EscrowBill struct {
	DueOn      Date `json:"due_on"`
	DiscountOn Date `json:"discount_on,omitzero"` // the last day for the discount; no date for none
	PenaltyOn  Date `json:"penalty_on,omitzero"`  // the last day without a penalty; no date for DueOn
	EndsOn     Date `json:"ends_on,omitzero"`     // no bill is due after this day; no date for no end

	Known      *Cents `json:"known_cents,omitzero"`    // what it comes to, when that is known
	Last       Cents  `json:"last_cents"`              // what it came to a year before
	Comparable bool   `json:"comparable,omitzero"`     // Last is that of comparable property: new, unassessed construction
	Discount   Cents  `json:"discount_cents,omitzero"` // what paying by DiscountOn takes off

	// LastPaidOn is when the one before was paid; no date for never, or unknown. It
	// matters when that was in an earlier month than its deadline: see Projection.
	LastPaidOn Date `json:"last_paid_on,omitzero"`
}

// KnownEscrowCycle says whether bills may come again after so many months.
func KnownEscrowCycle(everyMonths int) bool {
	switch everyMonths {
	case 1, 2, 3, 4, 6, 12, 24, 36, 48, 60:
		return true
	default:
		return false
	}
}

// Deadline returns the day by which the bill is paid: the earlier of the last
// day for the discount and the last day without a penalty.
//
// Source: 12 CFR 1024.17(d)(2)(i)(A).
func (b EscrowBill) Deadline() Date {
	deadline := b.PenaltyOn
	if deadline == 0 {
		deadline = b.DueOn
	}
	if b.DiscountOn != 0 {
		deadline = min(deadline, b.DiscountOn)
	}
	return deadline
}

// EstimateBasis says where a projected charge comes from.
type EstimateBasis string

// The bases of an estimate, in the order in which they are taken.
const (
	EstimateKnown      EstimateBasis = "known"
	EstimateComparable EstimateBasis = "comparable_property"
	EstimateLast       EstimateBasis = "last_charge"
	EstimateModified   EstimateBasis = "last_charge_modified"
)

// Estimate returns what the bill is expected to come to, net of its discount:
// the known charge; else the last one, modified by the change (in millionths).
// The modification is rounded toward zero, since it may not exceed the change.
//
// Source: 12 CFR 1024.17(c)(7).
func (b EscrowBill) Estimate(change Rate) (Cents, EstimateBasis) {
	charge, basis := b.Last, EstimateLast
	switch {
	case b.Known != nil:
		charge, basis = *b.Known, EstimateKnown
	case b.Comparable:
		basis = EstimateComparable
	case change != 0:
		charge, basis = charge+charge*Cents(change)/ppm, EstimateModified
	}
	if b.DiscountOn != 0 {
		charge -= b.Discount
	}
	return max(charge, 0), basis
}

// checkEscrowItems refuses items that no projection can be made of. The balance
// is that of the end of balanceOn.
func checkEscrowItems(items []EscrowItem, balanceOn Date) error {
	if len(items) > MaxEscrowItems {
		return &EscrowFieldError{Field: "items", Want: "at most 64"}
	}
	for i := range items {
		item := &items[i]
		field, want := item.check()
		if field != "" {
			return &EscrowFieldError{Field: fmt.Sprintf("items[%d].%s", i, field), Want: want}
		}
		for j := range item.Bills {
			if field, want = item.Bills[j].check(item.EveryMonths, balanceOn); field != "" {
				return &EscrowFieldError{Field: fmt.Sprintf("items[%d].bills[%d].%s", i, j, field), Want: want}
			}
		}
	}
	return nil
}

// check names the first field that is not right, and what may stand there.
func (i *EscrowItem) check() (field, want string) {
	switch {
	case !KnownEscrowCycle(i.EveryMonths):
		return "every_months", "1, 2, 3, 4, 6, 12, 24, 36, 48 or 60"
	case !i.Kind.known():
		return "kind", "one of the kinds"
	case len(i.Bills) > MaxEscrowBills:
		return "bills", "at most 12"
	}
	return "", ""
}

// check names the first field that is not right, and what may stand there. A
// bill that is a year late is not one that waits to be paid.
func (b *EscrowBill) check(everyMonths int, balanceOn Date) (field, want string) {
	date := func(d Date) bool { return d >= minEscrowDate && d <= maxEscrowDate }
	amount := func(c Cents) bool { return c >= 0 && c <= MaxPayment }
	switch {
	case !date(b.DueOn) || b.DueOn < balanceOn-oldBillDays:
		return "due_on", "the first bill that is not paid"
	case b.DiscountOn != 0 && !date(b.DiscountOn) || b.DiscountOn != 0 && b.Deadline() < balanceOn-oldBillDays:
		return "discount_on", "a day of the first bill that is not paid"
	case b.PenaltyOn != 0 && !date(b.PenaltyOn) || b.Deadline() < balanceOn-oldBillDays:
		return "penalty_on", "a day of the first bill that is not paid"
	case b.EndsOn != 0 && (!date(b.EndsOn) || everyMonths > monthsPerYear):
		return "ends_on", "a day, or none; none for a bill that comes less often than every year"
	case b.LastPaidOn != 0 && !date(b.LastPaidOn):
		return "last_paid_on", "a day, or none"
	case !amount(b.Last):
		return "last_cents", "0 to 10000000000"
	case b.Known != nil && !amount(*b.Known):
		return "known_cents", "0 to 10000000000"
	case !amount(b.Discount):
		return "discount_cents", "0 to 10000000000"
	}
	return "", ""
}

// The days that an account may speak of. They keep every date that follows from
// them, seventy years on, on the calendar.
const (
	minEscrowDate Date = 366 * 10
	maxEscrowDate Date = MaxDate - 366*100

	oldBillDays = 366
)
