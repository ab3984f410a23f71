package jobs_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/mortgage"
	"loanserve/queries"
)

// returnBill has the money of a loan's only disbursement on the day come back.
func returnBill(t *testing.T, tx pgx.Tx, loan queries.Loan, paidOn, returnedOn string) {
	t.Helper()
	for _, d := range disbursements(t, tx, loan) {
		if d.PaidOn == testdb.Date(paidOn) {
			bookBack(t, tx, testdb.EscrowReturn(t, tx, d.ID, returnedOn).ID)
			return
		}
	}
	require.FailNow(t, "nothing was paid on that day")
}

func onDemand(asOf, startOn string) func(*queries.InsertEscrowAnalysisParams) {
	return func(p *queries.InsertEscrowAnalysisParams) {
		p.Kind, p.AsOfOn, p.StartOn = queries.EscrowAnalysisKindOnDemand, testdb.Date(asOf), testdb.Date(startOn)
	}
}

// A bill whose money came back is still to be paid, whatever has happened to its line
// since, and whenever the money came: an analysis finds no surplus in it. It finds
// what it finds for a loan whose money did not come back.
func TestReturnedBillsAreStillToCome(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		months         int16 // of the line's cycle
		days           []string
		paid, returned string
		again          string // when it is paid once more, if it is
		asOf, startOn  string
	}{
		"paid and returned since the day of the balance": {
			12, []string{"2027-03-10"}, "2027-03-10", "2027-03-15", "", "2027-03-20", "2027-03-01",
		},
		"paid before it and returned since": {
			12, []string{"2027-03-10"}, "2027-03-10", "2027-03-15", "", "2027-03-12", "2027-05-01",
		},
		"returned before it": {
			12, []string{"2027-03-10"}, "2027-03-10", "2027-03-15", "", "2027-05-20", "2027-06-01",
		},
		"paid before it and returned since, when the next was paid": {
			1, []string{"2027-03-10", "2027-04-10"}, "2027-03-10", "2027-04-15", "", "2027-04-12", "2027-06-01",
		},
		"paid before it, returned and paid again since, when the next was paid": {
			1, []string{"2027-03-10", "2027-04-10"}, "2027-03-10", "2027-04-15", "2027-04-20", "2027-04-12", "2027-06-01",
		},
		"returned before it, when the next was paid": {
			1, []string{"2027-03-10", "2027-04-10"}, "2027-03-10", "2027-04-15", "", "2027-07-20", "2027-08-01",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := testdb.Tx(t)
			var results []*mortgage.EscrowAnalysis
			for _, comesBack := range []bool{false, true} {
				loan := escrowedLoan(t, tx, 9_000_00)
				id := testdb.EscrowLine(t, tx, loan, dueOn("2027-03-10"), func(p *queries.InsertEscrowLineParams) {
					p.Kind, p.EveryMonths, p.AmountCents = queries.EscrowLineKindFloodInsurance, test.months, 77_00
				})
				_, err := tx.Exec(t.Context(),
					"UPDATE escrow_lines SET next_due_on = '2027-12-10' WHERE loan_id = $1 AND kind = 'hazard_insurance'", loan.ID)
				require.NoError(t, err)
				for _, on := range test.days {
					disburse(t, tx, on)
				}
				if comesBack {
					returnBill(t, tx, loan, test.paid, test.returned)
				}
				if comesBack && test.again != "" {
					for _, bill := range bills(t, tx, id) {
						if bill.Status == queries.EscrowBillStatusHeld {
							_, err := queries.New(tx).MarkEscrowBillReleased(t.Context(), "test", bill.ID)
							require.NoError(t, err)
						}
					}
					disburse(t, tx, test.again)
				}
				wish := testdb.AnalysisWish(t, tx, loan, onDemand(test.asOf, test.startOn))
				results = append(results, analyze(t, tx, wish.ID).Result)
			}
			require.Equal(t, results[0].StartBalance, results[1].StartBalance)
			require.Equal(t, results[0].RequiredStart, results[1].RequiredStart)
			require.Equal(t, results[0].Surplus, results[1].Surplus)
		})
	}
}

// A bill that came back stays to be paid although its line has ended: it is no surplus.
func TestReturnedBillOfAnEndedLineIsStillToCome(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	var balances []mortgage.Cents
	for _, comesBack := range []bool{false, true} {
		loan := escrowedLoan(t, tx, 9_000_00)
		id := testdb.EscrowLine(t, tx, loan, dueOn("2027-02-10"))
		disburse(t, tx, "2027-02-10")
		if comesBack {
			returnBill(t, tx, loan, "2027-02-10", "2027-02-15")
		}
		_, err := queries.New(tx).MarkEscrowLineEnded(t.Context(), "test", id)
		require.NoError(t, err)
		wish := testdb.AnalysisWish(t, tx, loan, onDemand("2027-05-20", "2027-06-01"))
		balances = append(balances, analyze(t, tx, wish.ID).Result.StartBalance)
	}
	require.Equal(t, balances[0], balances[1])
}

// While a tax is paid in installments, those that are left are planned for their own
// days, and the next year's tax is expected to be all of it.
func TestInstallmentsThatAreLeftAreStillToCome(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	loan := escrowedLoan(t, tx, 9_000_00)
	id := testdb.EscrowLine(t, tx, loan, dueOn("2027-03-10"), func(p *queries.InsertEscrowLineParams) {
		p.Kind, p.EveryMonths, p.AmountCents = queries.EscrowLineKindCityTax, 12, 1_100_00
	})
	for _, on := range []string{"2027-03-10", "2027-09-10"} {
		testdb.EscrowBill(t, tx, id, func(p *queries.InsertEscrowBillParams) {
			p.DueOn, p.AmountCents = testdb.Date(on), 600_00
		})
	}
	disburse(t, tx, "2027-03-10")
	require.Equal(t, testdb.Date("2027-03-10"), line(t, tx, id).NextDueOn, "the cycle is not over")

	for name, test := range map[string]struct {
		asOf, startOn string
		want          map[string]mortgage.Cents
	}{
		"the first was paid after the day of the balance": {
			"2027-03-20", "2027-03-01", map[string]mortgage.Cents{"2027-03-10": 600_00, "2027-09-10": 600_00},
		},
		"the first was paid before it": {
			"2027-05-20", "2027-06-01", map[string]mortgage.Cents{"2027-09-10": 600_00, "2028-03-10": 1_200_00},
		},
	} {
		result := analyze(t, tx, testdb.AnalysisWish(t, tx, loan, onDemand(test.asOf, test.startOn), func(
			p *queries.InsertEscrowAnalysisParams,
		) {
			p.DryRun = true
		}).ID)
		got := map[string]mortgage.Cents{}
		for _, b := range result.Result.Bills {
			if result.Request.Items[b.Item].Kind == mortgage.EscrowCityTax {
				got[b.DueOn.String()] = b.Amount
			}
		}
		require.Equal(t, test.want, got, name)
	}
}
