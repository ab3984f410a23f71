package mortgage_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"loanserve/mortgage"
)

// Every bound of a policy, from both sides. The rule is the one that sets it.
func TestEscrowPolicyCheck(t *testing.T) {
	t.Parallel()

	type change = func(*mortgage.EscrowPolicy)
	tests := map[string]struct {
		change change
		field  string // "" for an allowed policy
		rule   mortgage.EscrowRule
	}{
		"the default": {func(*mortgage.EscrowPolicy) {}, "", ""},
		"the most lenient": {func(p *mortgage.EscrowPolicy) {
			*p = mortgage.EscrowPolicy{
				PaymentRounding: mortgage.EscrowRoundDown, RefundFrom: 1, CreditMonths: 1, RefundWhenNotCurrent: true,
				SmallShortage: mortgage.EscrowLeave, Shortage: mortgage.EscrowLeave, ShortageMonths: 60,
				SmallDeficiency: mortgage.EscrowLeave, Deficiency: mortgage.EscrowLeave, DeficiencyMonths: 60,
			}
		}, "", ""},
		"the strictest": {func(p *mortgage.EscrowPolicy) {
			p.SmallShortage, p.SmallDeficiency = mortgage.EscrowAtOnce, mortgage.EscrowAtOnce
			p.DeficiencyMonths, p.CollectWhenNotCurrent = 2, true
			p.LeadDays, p.NoticeDays = 30, 60
		}, "", ""},
		"a cushion of three months": {
			func(p *mortgage.EscrowPolicy) { p.CushionMonths = 3 }, "cushion_months", mortgage.EscrowRuleCushion,
		},
		"a negative cushion": {
			func(p *mortgage.EscrowPolicy) { p.CushionMonths = -1 }, "cushion_months", mortgage.EscrowRuleCushion,
		},
		"a rounding up":   {func(p *mortgage.EscrowPolicy) { p.PaymentRounding = "up" }, "payment_rounding", ""},
		"a change beyond": {func(p *mortgage.EscrowPolicy) { p.EstimateChange = 1_000_001 }, "estimate_change_ppm", ""},
		"refunds from 50.01": {
			func(p *mortgage.EscrowPolicy) { p.RefundFrom = 50_01 }, "refund_from_cents", mortgage.EscrowRuleSurplus,
		},
		"refunds of nothing": {
			func(p *mortgage.EscrowPolicy) { p.RefundFrom = 0 }, "refund_from_cents", mortgage.EscrowRuleSurplus,
		},
		"a credit over 13 months": {
			func(p *mortgage.EscrowPolicy) { p.CreditMonths = 13 }, "credit_months", mortgage.EscrowRuleSurplus,
		},
		"a credit over no month": {
			func(p *mortgage.EscrowPolicy) { p.CreditMonths = 0 }, "credit_months", mortgage.EscrowRuleSurplus,
		},
		"a refund for a small shortage": {
			func(p *mortgage.EscrowPolicy) { p.SmallShortage = mortgage.EscrowRefund },
			"small_shortage", mortgage.EscrowRuleShortageSpread,
		},
		"a large shortage within 30 days": {
			func(p *mortgage.EscrowPolicy) { p.Shortage = mortgage.EscrowAtOnce },
			"shortage", mortgage.EscrowRuleMonthSpread,
		},
		"a shortage over 11 months": {
			func(p *mortgage.EscrowPolicy) { p.ShortageMonths = 11 }, "shortage_months", mortgage.EscrowRuleMonthSpread,
		},
		"a shortage over 61 months": {
			func(p *mortgage.EscrowPolicy) { p.ShortageMonths = 61 }, "shortage_months", mortgage.EscrowRuleMonthSpread,
		},
		"a credit for a small deficiency": {
			func(p *mortgage.EscrowPolicy) { p.SmallDeficiency = mortgage.EscrowCredit },
			"small_deficiency", mortgage.EscrowRuleDeficiencySpread,
		},
		"a large deficiency within 30 days": {
			func(p *mortgage.EscrowPolicy) { p.Deficiency = mortgage.EscrowAtOnce },
			"deficiency", mortgage.EscrowRuleMonthDeficiency,
		},
		"a deficiency in one month": {
			func(p *mortgage.EscrowPolicy) { p.DeficiencyMonths = 1 },
			"deficiency_months", mortgage.EscrowRuleMonthDeficiency,
		},
		"a deficiency over 61 months": {
			func(p *mortgage.EscrowPolicy) { p.DeficiencyMonths = 61 },
			"deficiency_months", mortgage.EscrowRuleMonthDeficiency,
		},
		"bills paid 31 days ahead": {func(p *mortgage.EscrowPolicy) { p.LeadDays = 31 }, "lead_days", ""},
		"bills paid late":          {func(p *mortgage.EscrowPolicy) { p.LeadDays = -1 }, "lead_days", ""},
		"61 days of notice":        {func(p *mortgage.EscrowPolicy) { p.NoticeDays = 61 }, "notice_days", ""},
		"negative notice":          {func(p *mortgage.EscrowPolicy) { p.NoticeDays = -1 }, "notice_days", ""},
		"none":                     {func(p *mortgage.EscrowPolicy) { *p = mortgage.EscrowPolicy{} }, "payment_rounding", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := mortgage.DefaultEscrowPolicy()
			tt.change(&p)
			err := p.Check()
			if tt.field == "" {
				if err != nil {
					t.Errorf("%+v.Check() = %v; want it allowed", p, err)
				}
				return
			}
			wantField(t, "Check", err, tt.field)
			refused, ok := errors.AsType[*mortgage.EscrowFieldError](err)
			if ok && (refused.Rule != tt.rule || !strings.Contains(err.Error(), tt.field)) {
				t.Errorf("%+v.Check() = %v; want %q named, and the field", p, err, tt.rule)
			}
		})
	}
}

// However a policy is put together, Check allows just what the regulation does,
// and no analysis is made with another.
func TestIllegalEscrowPoliciesAreRefused(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		number := func(label string) int {
			return rapid.OneOf(rapid.IntRange(-2, 62), rapid.Just(math.MaxInt), rapid.Just(math.MinInt)).Draw(t, label)
		}
		action := rapid.SampledFrom([]mortgage.EscrowAction{
			"", mortgage.EscrowLeave, mortgage.EscrowAtOnce, mortgage.EscrowSpread, mortgage.EscrowRefund,
		})
		p := mortgage.DefaultEscrowPolicy()
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			switch rapid.IntRange(0, 10).Draw(t, "field") {
			case 0:
				p.CushionMonths = number("cushion")
			case 1:
				p.RefundFrom = mortgage.Cents(rapid.Int64Range(-1, 50_02).Draw(t, "refund from"))
			case 2:
				p.CreditMonths = number("credit")
			case 3:
				p.SmallShortage = action.Draw(t, "small shortage")
			case 4:
				p.Shortage = action.Draw(t, "shortage")
			case 5:
				p.ShortageMonths = number("shortage months")
			case 6:
				p.SmallDeficiency = action.Draw(t, "small deficiency")
			case 7:
				p.Deficiency = action.Draw(t, "deficiency")
			case 8:
				p.DeficiencyMonths = number("deficiency months")
			case 9:
				p.LeadDays = number("lead")
			default:
				p.NoticeDays = number("notice")
			}
		}
		small := func(a mortgage.EscrowAction) bool {
			return a == mortgage.EscrowLeave || a == mortgage.EscrowAtOnce || a == mortgage.EscrowSpread
		}
		large := func(a mortgage.EscrowAction) bool { return small(a) && a != mortgage.EscrowAtOnce }
		legal := p.CushionMonths >= 0 && p.CushionMonths <= 2 && p.RefundFrom >= 1 && p.RefundFrom <= 50_00 &&
			p.CreditMonths >= 1 && p.CreditMonths <= 12 && small(p.SmallShortage) && large(p.Shortage) &&
			p.ShortageMonths >= 12 && p.ShortageMonths <= 60 && small(p.SmallDeficiency) && large(p.Deficiency) &&
			p.DeficiencyMonths >= 2 && p.DeficiencyMonths <= 60 && p.LeadDays >= 0 && p.LeadDays <= 30 &&
			p.NoticeDays >= 0 && p.NoticeDays <= 60
		r := appendixE(0)
		r.Policy = p
		_, err := mortgage.AnalyzeEscrow(r)
		if (p.Check() == nil) != legal || (err == nil) != legal {
			t.Fatalf("%+v: Check %v, AnalyzeEscrow %v; legal is %t", p, p.Check(), err, legal)
		}
	})
}
