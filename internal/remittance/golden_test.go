package remittance_test

import (
	"crypto/sha256"
	"reflect"
	"slices"
	"strings"
	"testing"

	"loanserve/internal/remittance"
)

func TestReadGolden(t *testing.T) {
	t.Parallel()

	const ach, lockbox, periodic = "ach", "lockbox", "periodic"
	nsf := &remittance.Return{Code: "R01", OriginalTrace: "123456780000002"}
	revoked := &remittance.Return{Code: "R10", OriginalTrace: "123456780000001"}
	jan14, jan15, jan16, jan20 := day("2026-01-14"), day("2026-01-15"), day("2026-01-16"), day("2026-01-20")
	tests := map[string]remittance.File{
		csvFile: {
			TotalCents: 2084_57,
			Items: []remittance.Item{
				{2, "1000000001", 1234_56, jan15, lockbox, periodic, "LBX-0115-001", nil},
				{3, "1000000002", 1, jan15, "wire", "principal", "W-77", nil},
				{4, "10,0003", 850_00, jan14, "check", "escrow", `check "9"`, nil},
			},
		},
		lockboxFile: {
			TotalCents: 4100_00,
			Items: []remittance.Item{
				{4, "1000000001", 1234_56, jan15, lockbox, periodic, "2026-01-15/0001234/001/001", nil},
				{5, "SERVICER-A/POOL-2019/1000000002", 850_00, jan15, lockbox, periodic, "2026-01-15/0001234/001/002", nil},
				{9, "1000000003", 2000_44, jan15, lockbox, periodic, "2026-01-15/0001234/002/001", nil},
				{13, "1000000001", 15_00, jan14, lockbox, periodic, "2026-01-14/0005678/001/001", nil},
			},
		},
		debitsFile: {
			TotalCents: 2100_00, Skipped: 1,
			Items: []remittance.Item{
				{3, "1000000001", 1234_56, jan15, ach, periodic, "123456780000001/2026-01-15", nil},
				{4, "1000000002", 850_00, jan15, ach, periodic, "123456780000002/2026-01-15", nil},
				{9, "1000000004", 15_44, jan16, ach, periodic, "123456780000004/2026-01-16", nil},
			},
		},
		creditsFile: {
			TotalCents: 1235_00,
			Items: []remittance.Item{
				{3, "1000000001", 1234_56, jan15, ach, periodic, "234567890000201/2026-01-15", nil},
				{4, "1000000005", 44, jan15, ach, periodic, "234567890000202/2026-01-15", nil},
			},
		},
		returnsFile: {
			TotalCents: 2084_56, ReturnedCents: 2084_56, Skipped: 1,
			Items: []remittance.Item{
				{3, "1000000002", 850_00, jan20, ach, periodic, "234567890000101/2026-01-20", nsf},
				{5, "1000000001", 1234_56, jan20, ach, periodic, "234567890000102/2026-01-20", revoked},
			},
		},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			text := golden(t, name)
			want.Format, want.SHA256 = formatOf(name), sha256.Sum256([]byte(text))
			got, err := read(want.Format, text)
			if err != nil {
				t.Fatal(err, err.(*remittance.Faults).Listed) //nolint:errorlint // It is what Read promises.
			}
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("Read = %+v; want %+v", *got, want)
			}
		})
	}
}

// What does not change the meaning of a file changes only its hash.
func TestReadTolerates(t *testing.T) {
	t.Parallel()

	edits := map[string]func(text string) string{
		"carriage returns":       func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") },
		"empty lines at the end": func(text string) string { return text + "\n\r\n\n" },
	}
	for _, name := range []string{csvFile, lockboxFile, debitsFile, creditsFile, returnsFile} {
		for edit, apply := range edits {
			same(t, name+" with "+edit, name, apply)
		}
	}
	same(t, "a mark of UTF-8", csvFile, func(text string) string { return "\xef\xbb\xbf" + text })
	same(t, "no last line ending", lockboxFile, func(text string) string { return strings.TrimSuffix(text, "\n") })
	same(t, "no fill", debitsFile, func(text string) string {
		return strings.ReplaceAll(text, strings.Repeat("9", 94)+"\n", "")
	})
	same(t, "fill", creditsFile, func(text string) string {
		return text + strings.Repeat(strings.Repeat("9", 94)+"\n", 4)
	})
}

// same fails unless the edited golden file has the items of the golden file.
func same(t *testing.T, title, name string, edit func(text string) string) {
	t.Helper()

	t.Run(title, func(t *testing.T) {
		t.Parallel()

		text := golden(t, name)
		want, err := read(formatOf(name), text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(formatOf(name), edit(text))
		if err != nil {
			t.Fatal(err)
		}
		if got.SHA256 == want.SHA256 {
			t.Error("the hash of other bytes is the same")
		}
		got.SHA256 = want.SHA256
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Read = %+v; want %+v", got, want)
		}
	})
}

func TestALoanNumberMayStandInTheOverflowAlone(t *testing.T) {
	t.Parallel()

	blank := strings.Repeat(" ", 20)
	lines := strings.Split(golden(t, lockboxFile), "\n")
	lines = all(put(5, 54, blank), put(6, 12, "1000000002         "))(lines)
	file, err := read(remittance.FormatBAI, strings.Join(lines, "\n"))
	if err != nil || file.Items[1].LoanNumber != "1000000002" {
		t.Errorf("Read = %+v, %v", file, err)
	}
}

// Corporate entries may have many addenda records, and others one.
func TestManyAddenda(t *testing.T) {
	t.Parallel()

	lines := strings.Split(golden(t, debitsFile), "\n")
	lines = all(put(2, 51, "CTX"), repeat(5), put(8, 10, "5"), put(12, 21, "6"), remove(21, 21))(lines)
	if file, err := read(remittance.FormatNACHA, strings.Join(lines, "\n")); err != nil || len(file.Items) != 3 {
		t.Errorf("Read = %+v, %v", file, err)
	}
}

// A hash keeps ten digits: 99,999,999 taken 150 times is 14,999,999,850.
func TestHashOfManyEntries(t *testing.T) {
	t.Parallel()

	item := remittance.Item{LoanNumber: "1", AmountCents: 1}
	b := achBatch{day: day("2026-01-15"), entries: slices.Repeat([]entry{{item: item, bank: 9999_9999}}, 150)}
	var w writer
	w.nacha(day("2026-01-14"), []achBatch{b, b})
	if !strings.Contains(w.text(), "\n82250001504999999850") {
		t.Fatal("the hash was not computed by hand")
	}
	if file, err := read(remittance.FormatNACHA, w.text()); err != nil || len(file.Items) != 300 {
		t.Errorf("Read = %+v, %v", file, err)
	}
}
