package migrations_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/mortgage"
	"loanserve/queries"
)

const checkViolation = "23514"

// broken names the seals that do not hold, as loan.seq.
const broken = `SELECT loan_id || '.' || seq FROM broken_seals ORDER BY loan_id, seq`

// unreconciled names the loans that are not the sum of their transactions.
const unreconciled = `SELECT loan_id FROM unreconciled_loans ORDER BY loan_id`

// insert stores a transaction as it is, with its seal.
func insert(t *testing.T, db querier, tx mortgage.Transaction, hash mortgage.Hash) error {
	t.Helper()
	_, err := db.Exec(t.Context(), `
INSERT INTO transactions (loan_id, seq, kind, effective_on, posted_at, due_on, payment_id, reverses,
  cash_cents, principal_cents, interest_income_cents, escrow_cents, suspense_cents,
  late_charges_receivable_cents, late_charge_income_cents, fees_receivable_cents, fee_income_cents,
  escrow_advance_cents, boarding_clearing_cents, rule, caused_by, hash)
VALUES ($1, $2, $3, $4, $5, $6, nullif($7, '')::uuid, nullif($8, 0),
  $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)`,
		tx.LoanID, tx.Seq, tx.Kind, tx.EffectiveOn, time.UnixMicro(tx.PostedAt), tx.DueOn, tx.Ref, tx.Reverses,
		tx.Cash, tx.Principal, tx.InterestIncome, tx.Escrow, tx.Suspense,
		tx.LateChargesReceivable, tx.LateChargeIncome, tx.FeesReceivable, tx.FeeIncome,
		tx.EscrowAdvance, tx.BoardingClearing, tx.Rule, tx.CausedBy, hash[:])
	return err
}

// book adds transactions to the books of a loan that has only been boarded, so
// that its balances and the head of its chain follow.
func book(t *testing.T, db querier, loan queries.Loan, added []mortgage.Transaction) {
	t.Helper()
	hash := mortgage.Hash(loan.LastHash)
	sum := mortgage.Postings{
		Principal: loan.PrincipalCents, Escrow: -loan.EscrowCents, Suspense: -loan.SuspenseCents,
		LateChargesReceivable: loan.LateChargesDueCents,
	}
	for i, tx := range added {
		require.Equal(t, loan.LastSeq+1+int32(i), tx.Seq)
		hash = tx.Seal(hash)
		require.NoError(t, insert(t, db, tx, hash), "%+v", tx)
		sum.Principal += tx.Principal
		sum.Escrow += tx.Escrow
		sum.Suspense += tx.Suspense
		sum.LateChargesReceivable += tx.LateChargesReceivable
	}
	exec(t, db, `UPDATE loans SET last_seq = last_seq + $2, last_hash = $3, principal_cents = $4, escrow_cents = $5,
suspense_cents = $6, late_charges_due_cents = $7 WHERE id = $1`, loan.ID, len(added), hash[:],
		sum.Principal, -sum.Escrow, -sum.Suspense, sum.LateChargesReceivable)
}

// installments books the next count installments as they fall due.
func installments(t *testing.T, db querier, loan queries.Loan, count int) []mortgage.Transaction {
	t.Helper()
	terms := mortgage.Terms{
		Rate: loan.RatePpm, PrincipalAndInterest: loan.PrincipalAndInterestCents, EscrowPayment: loan.EscrowPaymentCents,
		DueDay: int(loan.DueDay), MaturityOn: loan.MaturityOn, InterestMethod: loan.InterestMethod,
		ApplicationOrder: loan.ApplicationOrder, ExcessPolicy: loan.ExcessPolicy, Rounding: loan.Rounding,
	}
	state := mortgage.State{
		Principal: loan.PrincipalCents, Escrow: loan.EscrowCents, Suspense: loan.SuspenseCents,
		LateChargesDue: loan.LateChargesDueCents, NextDueOn: loan.NextDueOn,
	}
	var added []mortgage.Transaction
	for range count {
		receipt := mortgage.Receipt{
			Amount: loan.PrincipalAndInterestCents + loan.EscrowPaymentCents, ReceivedOn: state.NextDueOn,
		}
		after, entries, err := receipt.Happen(terms, state)
		require.NoError(t, err)
		for _, e := range entries {
			added = append(added, mortgage.Transaction{
				LoanID: loan.ID, Seq: loan.LastSeq + 1 + int32(len(added)), CausedBy: "token 1",
				PostedAt: testdb.BoardedAt.Add(time.Hour).UnixMicro(), Entry: e,
			})
		}
		state = after
	}
	book(t, db, loan, added)
	return added
}

// TestTransactionText writes the canonical bytes out, so that whoever checks a
// chain by other means can read here what is hashed.
func TestTransactionText(t *testing.T) {
	t.Parallel()
	db := testdb.Tx(t)
	loan := testdb.Loan(t, db)
	payment := testdb.Payment(t, db, loan)
	tx := mortgage.Transaction{
		LoanID: loan.ID, Seq: 2, PostedAt: 1_769_947_200_000_001, CausedBy: "Zoë 🏠",
		Entry: mortgage.Entry{
			Kind: mortgage.KindInstallment, EffectiveOn: testdb.Date("2026-02-01"), DueOn: testdb.Date("2026-02-01"),
			Rule: mortgage.RulePeriodicPayment, Ref: payment.ID.String(), Postings: mortgage.Postings{
				Cash: 2_346_20, Principal: -379_53, InterestIncome: -1_516_67, Escrow: -450_00,
			},
		},
	}
	book(t, db, loan, []mortgage.Transaction{tx})

	want := fmt.Sprintf("%d\n2\ninstallment\n2026-02-01\n1769947200000001\n2026-02-01\n%s\n0\n"+
		"234620\n-37953\n-151667\n-45000\n0\n0\n0\n0\n0\n0\n0\n12 CFR 1026.36(c)(1)(i)\nZoë 🏠\n", loan.ID, payment.ID)
	const text = `SELECT convert_from(transaction_text(t), 'UTF8') FROM transactions t WHERE loan_id = $1 AND seq = $2`
	require.Equal(t, want, one[string](t, db, text, loan.ID, 2))
	require.Equal(t, mortgage.Hash(sha256.Sum256(append(loan.LastHash, want...))), tx.Seal(mortgage.Hash(loan.LastHash)))

	first := fmt.Sprintf("%d\n1\nboarding\n2026-01-15\n1768494600123456\n\n\n0\n"+
		"0\n28000000\n0\n-120000\n0\n0\n0\n0\n0\n0\n-27880000\nboarding\ntestdb\n", loan.ID)
	require.Equal(t, first, one[string](t, db, text, loan.ID, 1))
	require.Equal(t, sha256.Sum256(append(make([]byte, sha256.Size), first...)), [sha256.Size]byte(loan.LastHash))
	require.Empty(t, column[string](t, db, broken))
}

// TestSealsOfAnyTransaction seals in Go what no event would yield, and has the
// database find the same bytes: whoever reads, in whatever zone.
func TestSealsOfAnyTransaction(t *testing.T) {
	t.Parallel()
	db := testdb.Tx(t)
	random := rand.New(rand.NewPCG(1, 2))
	total := mortgage.Cents(0)
	for range 12 {
		loan := testdb.Loan(t, db)
		payment := testdb.Payment(t, db, loan)
		var added []mortgage.Transaction
		unreversed := []int32{1}
		hash := mortgage.Hash(loan.LastHash)
		for seq := int32(2); seq < 22; seq++ {
			tx := anyTransaction(random, loan.ID, seq)
			if random.IntN(2) == 0 {
				tx.Ref = payment.ID.String()
			}
			if random.IntN(4) == 0 && len(unreversed) > 0 {
				i := random.IntN(len(unreversed))
				tx.Reverses, tx.Kind = unreversed[i], mortgage.KindReversal
				unreversed = append(unreversed[:i], unreversed[i+1:]...)
			}
			unreversed = append(unreversed, seq)
			added = append(added, tx)
			hash = tx.Seal(hash)
			require.NoError(t, insert(t, db, tx, hash), "%+v", tx)
			total += tx.Cash
		}
		exec(t, db, `UPDATE loans SET last_seq = $2, last_hash = $3 WHERE id = $1`, loan.ID, 1+len(added), hash[:])
	}
	for _, setting := range []string{
		`TimeZone = 'UTC'`, `TimeZone = 'America/Sao_Paulo'`, `TimeZone = 'Pacific/Apia'`, `DateStyle = 'SQL, DMY'`,
		`IntervalStyle = 'iso_8601'`, `bytea_output = 'escape'`, `search_path = 'river'`,
	} {
		exec(t, db, `SET LOCAL `+setting)
		require.Empty(t, column[string](t, db, strings.ReplaceAll(broken, "broken", "public.broken")), setting)
	}
	require.Zero(t, one[int64](t, db, `SELECT sum(balance_cents)::bigint FROM public.trial_balance`))
	cash := one[int64](t, db, `SELECT balance_cents FROM public.trial_balance WHERE account = 'cash'`)
	require.Equal(t, int64(total), cash)
	require.Zero(t, one[int](t, db, `SELECT count(*) FROM public.ledger_entries
WHERE debit_cents < 0 OR credit_cents < 0 OR (debit_cents = 0) = (credit_cents = 0)`))
}

// anyTransaction returns a balanced transaction of random fields, within what
// the table's constraints let in.
func anyTransaction(random *rand.Rand, loanID int64, seq int32) mortgage.Transaction {
	kinds := []mortgage.Kind{
		mortgage.KindInstallment, mortgage.KindUnapplied, mortgage.KindCurtailment, mortgage.KindLateChargePayment,
	}
	days := []mortgage.Date{
		mortgage.MinDate, mortgage.MaxDate, testdb.Date("2024-02-29"), testdb.Date("1969-12-31"),
		testdb.Date("2018-11-04"), // A day without a midnight in Sao Paulo,
		testdb.Date("2011-12-30"), // and one that Samoa never had.
		mortgage.Date(random.IntN(int(mortgage.MaxDate)) + 1),
	}
	day := func() mortgage.Date { return days[random.IntN(len(days))] }
	amount := func() mortgage.Cents {
		if random.IntN(3) == 0 {
			return 0
		}
		return mortgage.Cents(random.Int64N(2*int64(mortgage.MaxBalance)) - int64(mortgage.MaxBalance))
	}
	tx := mortgage.Transaction{
		LoanID: loanID, Seq: seq, CausedBy: anyText(random, 200),
		PostedAt: random.Int64N(8_000_000_000_000_000) - 2_000_000_000_000_000, // 1906 to 2160
		Entry: mortgage.Entry{
			Kind: kinds[random.IntN(len(kinds))], EffectiveOn: day(), Rule: mortgage.Rule(anyText(random, 100)),
			Postings: mortgage.Postings{
				Cash: amount(), Principal: amount(), InterestIncome: amount(), Escrow: amount(), Suspense: amount(),
				LateChargesReceivable: amount(), LateChargeIncome: amount(), FeesReceivable: amount(),
				FeeIncome: amount(), EscrowAdvance: amount(),
			},
		},
	}
	tx.BoardingClearing = -tx.Sum()
	if tx.Kind == mortgage.KindInstallment {
		tx.DueOn = day()
	}
	return tx
}

// anyText returns one line of 1 to limit characters.
func anyText(random *rand.Rand, limit int) string {
	letters := []rune("aZ09 .,:;'\"\\%$_-/()\t\r\u00a0éßŁ中文🏠\u0301\u200d\u2028\ufeff")
	text := make([]rune, 1+random.IntN(limit))
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return string(text)
}

// TestTamperingIsSeen changes the books behind the guards' back, as only a
// superuser can, and expects the exact places to be named.
func TestTamperingIsSeen(t *testing.T) {
	t.Parallel()
	db := testdb.Clone(t)
	db.SwitchOffDDLGuards(t)
	testdb.Loan(t, db.App)
	loan := testdb.Loan(t, db.App)
	installments(t, db.App, loan, 4)
	payment := testdb.Payment(t, db.App, loan)
	require.Empty(t, column[string](t, db.App, broken))

	at := func(sql string) string { return fmt.Sprintf(sql+` WHERE loan_id = %d AND seq = 3`, loan.ID) }
	const last = 5
	for name, c := range map[string]struct {
		sql  string
		seqs []int
	}{
		"one cent moved": {at(`UPDATE transactions SET principal_cents = principal_cents - 1,
			interest_income_cents = interest_income_cents + 1`), []int{3}},
		"one day earlier":       {at(`UPDATE transactions SET effective_on = effective_on - 1`), []int{3}},
		"another installment":   {at(`UPDATE transactions SET due_on = due_on + 1`), []int{3}},
		"a microsecond later":   {at(`UPDATE transactions SET posted_at = posted_at + interval '1 microsecond'`), []int{3}},
		"another kind":          {at(`UPDATE transactions SET kind = 'unapplied', due_on = NULL`), []int{3}},
		"another rule":          {at(`UPDATE transactions SET rule = 'boarding'`), []int{3}},
		"another cause":         {at(`UPDATE transactions SET caused_by = caused_by || ' '`), []int{3}},
		"a payment that is not": {at(`UPDATE transactions SET payment_id = '` + payment.ID.String() + `'`), []int{3}},
		"a reversal that is not": {
			at(`UPDATE transactions SET kind = 'reversal', reverses = 2`), []int{3},
		},
		"another hash": {at(`UPDATE transactions SET hash = sha256('x')`), []int{3, 4}},
		"two rows swapped": {fmt.Sprintf(`
			UPDATE transactions SET seq = 1000 WHERE loan_id = %[1]d AND seq = 3;
			UPDATE transactions SET seq = 3 WHERE loan_id = %[1]d AND seq = 4;
			UPDATE transactions SET seq = 4 WHERE loan_id = %[1]d AND seq = 1000`, loan.ID), []int{3, 4, 5}},
		"the fields of two rows swapped": {fmt.Sprintf(`
			UPDATE transactions t SET due_on = o.due_on, principal_cents = o.principal_cents,
			  interest_income_cents = o.interest_income_cents
			FROM transactions o WHERE t.loan_id = %d AND o.loan_id = t.loan_id AND (t.seq, o.seq) IN ((3, 4), (4, 3))`,
			loan.ID), []int{3, 4}},
		"a row removed":          {at(`DELETE FROM transactions`), []int{4}},
		"the newest row removed": {fmt.Sprintf(`DELETE FROM transactions WHERE loan_id = %d AND seq = %d`, loan.ID, last), []int{last}},
		"all rows removed":       {fmt.Sprintf(`DELETE FROM transactions WHERE loan_id = %d`, loan.ID), []int{last}},
		"a row and all seals after it written anew": {fmt.Sprintf(`
			UPDATE transactions SET caused_by = 'nobody' WHERE loan_id = %[1]d AND seq = 3;
			DO $$ BEGIN FOR i IN 3..%[2]d LOOP
			  UPDATE transactions t SET hash = sha256(p.hash || transaction_text(t))
			  FROM transactions p WHERE t.loan_id = %[1]d AND t.seq = i AND p.loan_id = %[1]d AND p.seq = i - 1;
			END LOOP; END $$`, loan.ID, last), []int{last}},
		"the head of the chain changed": {fmt.Sprintf(`UPDATE loans SET last_hash = sha256('x') WHERE id = %d`, loan.ID), []int{last}},
	} {
		tx, err := db.Super.Begin(t.Context())
		require.NoError(t, err)
		exec(t, tx, `ALTER TABLE transactions DISABLE TRIGGER ALL`)
		exec(t, tx, c.sql)
		var want []string
		for _, seq := range c.seqs {
			want = append(want, fmt.Sprintf("%d.%d", loan.ID, seq))
		}
		require.Equal(t, want, column[string](t, tx, broken), name)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	require.Empty(t, column[string](t, db.App, broken))
}

func TestChangedBalancesAreSeen(t *testing.T) {
	t.Parallel()
	db := testdb.Tx(t)
	testdb.Loan(t, db)
	loan := testdb.Loan(t, db, func(p *queries.InsertLoanParams) {
		p.SuspenseCents, p.LateChargesDueCents = 12_34, 94_81
	})
	installments(t, db, loan, 2)
	require.Empty(t, column[int64](t, db, unreconciled))
	for _, change := range []string{
		`principal_cents = principal_cents - 1`, `escrow_cents = escrow_cents + 1`,
		`suspense_cents = suspense_cents + 1`, `late_charges_due_cents = 0`, `last_seq = last_seq + 1`,
	} {
		nested, err := db.Begin(t.Context())
		require.NoError(t, err)
		exec(t, nested, `UPDATE loans SET `+change+` WHERE id = $1`, loan.ID)
		require.Equal(t, []int64{loan.ID}, column[int64](t, nested, unreconciled), change)
		require.NoError(t, nested.Rollback(t.Context()))
	}
}

// TestLedgerRefuses inserts what is wrong by itself.
func TestLedgerRefuses(t *testing.T) {
	t.Parallel()
	db := testdb.Tx(t)
	loan := testdb.Loan(t, db)
	good := mortgage.Transaction{
		LoanID: loan.ID, Seq: 2, PostedAt: testdb.BoardedAt.UnixMicro(), CausedBy: "token 1",
		Entry: mortgage.Entry{
			Kind: mortgage.KindUnapplied, EffectiveOn: testdb.Date("2026-02-01"), Rule: mortgage.RulePartialPayment,
			Postings: mortgage.Postings{Cash: 100_00, Suspense: -100_00},
		},
	}
	for name, spoil := range map[string]func(*mortgage.Transaction){
		"a cent too much":                    func(tx *mortgage.Transaction) { tx.Cash++ },
		"a cent from nowhere":                func(tx *mortgage.Transaction) { tx.EscrowAdvance-- },
		"a reversal of itself":               func(tx *mortgage.Transaction) { tx.Reverses = 2 },
		"an installment without a date":      func(tx *mortgage.Transaction) { tx.Kind = mortgage.KindInstallment },
		"a date without an installment":      func(tx *mortgage.Transaction) { tx.DueOn = tx.EffectiveOn },
		"boarding again":                     func(tx *mortgage.Transaction) { tx.Kind = mortgage.KindBoarding },
		"a cause of two lines":               func(tx *mortgage.Transaction) { tx.CausedBy = "a\nb" },
		"a cause that ends in a line break":  func(tx *mortgage.Transaction) { tx.CausedBy = "a\n" },
		"a rule that begins in a line break": func(tx *mortgage.Transaction) { tx.Rule = "\na" },
		"no rule":                            func(tx *mortgage.Transaction) { tx.Rule = "" },
	} {
		tx := good
		spoil(&tx)
		nested, err := db.Begin(t.Context())
		require.NoError(t, err)
		code, _ := state(insert(t, nested, tx, tx.Seal(mortgage.Hash(loan.LastHash))))
		require.Equal(t, checkViolation, code, name)
		require.NoError(t, nested.Rollback(t.Context()))
	}
	for _, column := range []string{"posted_at", "effective_on", "due_on"} {
		nested, err := db.Begin(t.Context())
		require.NoError(t, err)
		_, err = nested.Exec(t.Context(), fmt.Sprintf(`
INSERT INTO transactions SELECT (jsonb_populate_record(t, jsonb_build_object(
  'seq', 2, 'kind', 'installment', 'due_on', '2026-02-01') || jsonb_build_object('%s', 'infinity'))).*
FROM transactions t WHERE loan_id = $1`, column), loan.ID)
		code, _ := state(err)
		require.Equal(t, checkViolation, code, "%s without end: %v", column, err)
		require.NoError(t, nested.Rollback(t.Context()))
	}
	require.NoError(t, insert(t, db, good, good.Seal(mortgage.Hash(loan.LastHash))))
}
