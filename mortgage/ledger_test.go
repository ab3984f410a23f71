package mortgage_test

import (
	"crypto/sha256"
	"reflect"
	"testing"

	"loanserve/mortgage"
)

func sampleTransaction() mortgage.Transaction {
	return mortgage.Transaction{
		LoanID: 17, Seq: 3, PostedAt: 1_767_225_600_000_001,
		Reverses: 2, CausedBy: "user:5",
		Entry: mortgage.Entry{
			Kind: mortgage.KindInstallment, EffectiveOn: day("2026-01-02"), DueOn: day("2026-01-01"),
			Rule: mortgage.RulePeriodicPayment, Ref: "019b77aa-0000-7000-8000-000000000001",
			Postings: mortgage.Postings{
				Cash: 1, Principal: -2, InterestIncome: 3, Escrow: -4, Suspense: 5,
				LateChargesReceivable: -6, LateChargeIncome: 7, FeesReceivable: -8, FeeIncome: 9,
				EscrowAdvance: -10, BoardingClearing: 11,
			},
		},
	}
}

// The text is written out by hand: whoever checks a chain without this program
// has nothing else to go by.
func TestSealIsOverThePreviousHashAndTheText(t *testing.T) {
	t.Parallel()

	previous := mortgage.Hash{0xff, 31: 0x01}
	const text = "17\n3\ninstallment\n2026-01-02\n1767225600000001\n2026-01-01\n" +
		"019b77aa-0000-7000-8000-000000000001\n2\n" +
		"1\n-2\n3\n-4\n5\n-6\n7\n-8\n9\n-10\n11\n" +
		"12 CFR 1026.36(c)(1)(i)\nuser:5\n"
	want := mortgage.Hash(sha256.Sum256(append(previous[:], text...)))
	if got := sampleTransaction().Seal(previous); got != want {
		t.Errorf("Seal(%x) = %x; want the SHA-256 of the hash and %q, %x", previous, got, text, want)
	}

	const absent = "0\n0\n\n\n0\n\n\n0\n0\n0\n0\n0\n0\n0\n0\n0\n0\n0\n0\n\n\n"
	want = sha256.Sum256(append(make([]byte, sha256.Size), absent...))
	if got := (mortgage.Transaction{}).Seal(mortgage.Hash{}); got != want {
		t.Errorf("Transaction{}.Seal(zero) = %x; want the SHA-256 of %q, %x", got, absent, want)
	}
}

func TestSealChangesWithEveryField(t *testing.T) {
	t.Parallel()

	seals := map[mortgage.Hash]string{
		sampleTransaction().Seal(mortgage.Hash{}):        "the sample",
		sampleTransaction().Seal(mortgage.Hash{31: 0x1}): "the previous hash",
	}
	var changeEach func(path []int, v reflect.Type)
	changeEach = func(path []int, v reflect.Type) {
		for i := range v.NumField() {
			field := append(append([]int(nil), path...), i)
			if v.Field(i).Type.Kind() == reflect.Struct {
				changeEach(field, v.Field(i).Type)
				continue
			}
			changed := sampleTransaction()
			name := v.Field(i).Name
			switch f := reflect.ValueOf(&changed).Elem().FieldByIndex(field); f.Kind() {
			case reflect.String:
				f.SetString(f.String() + "x")
			case reflect.Int32, reflect.Int64:
				f.SetInt(f.Int() + 1)
			default:
				t.Fatalf("%s is a %s, which this test cannot change", name, f.Kind())
			}
			seal := changed.Seal(mortgage.Hash{})
			if other, taken := seals[seal]; taken {
				t.Errorf("Seal with another %s = %x; want it to differ from that with %s", name, seal, other)
			}
			seals[seal] = name
		}
	}
	changeEach(nil, reflect.TypeFor[mortgage.Transaction]())
	if want := 2 + 5 + 5 + 11; len(seals) != want {
		t.Errorf("%d different seals; want %d", len(seals), want)
	}
}

// Neighboring fields do not run into each other: an amount moved from one
// account to the next gives another seal.
func TestSealKeepsFieldsApart(t *testing.T) {
	t.Parallel()

	a, b := sampleTransaction(), sampleTransaction()
	a.LoanID, a.Seq = 1, 12
	b.LoanID, b.Seq = 11, 2
	if a.Seal(mortgage.Hash{}) == b.Seal(mortgage.Hash{}) {
		t.Errorf("Seal of loan 1, seq 12 equals that of loan 11, seq 2; want two seals")
	}
}
