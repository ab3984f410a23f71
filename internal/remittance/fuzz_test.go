package remittance_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"loanserve/internal/remittance"
	"loanserve/mortgage"
)

func FuzzReadCSV(f *testing.F) { fuzz(f, remittance.FormatCSV, csvFile) }

func FuzzReadBAI(f *testing.F) { fuzz(f, remittance.FormatBAI, lockboxFile) }

func FuzzReadNACHA(f *testing.F) {
	fuzz(f, remittance.FormatNACHA, debitsFile, creditsFile, returnsFile)
}

// fuzz reads anything, or a golden file with some edits, which come further:
// either all of a file holds together, or what is wrong is in bounds, and says
// nothing of the file.
func fuzz(f *testing.F, format remittance.Format, names ...string) {
	f.Helper()

	var goldens []string
	for i, name := range names {
		text := golden(f, name)
		goldens = append(goldens, text)
		first, _, _ := strings.Cut(text, "\n")
		f.Add([]byte(first), []byte(nil))
		f.Add([]byte(nil), []byte{byte(i), 0, 3, 40, '7'})
	}
	f.Add([]byte("\xff\xfe1\x00"), []byte(nil))
	reasons := reasonsInSource(f)
	limits := remittance.Limits{Bytes: 1 << 20, LineBytes: 256, Items: 100, Faults: 5}
	f.Fuzz(func(t *testing.T, text, edits []byte) {
		if len(edits) > 0 {
			text = edited(goldens[int(edits[0])%len(goldens)], edits[1:])
		}
		file, err := remittance.Read(format, bytes.NewReader(text), nil, limits)
		again, _ := remittance.Read(format, bytes.NewReader(text), nil, limits)
		if !reflect.DeepEqual(file, again) {
			t.Fatal("the same bytes are read in two ways")
		}
		if err == nil {
			checkFile(t, file, limits)
			return
		}
		faults, ok := errors.AsType[*remittance.Faults](err)
		if !ok || file != nil || len(faults.Listed) != min(faults.Count, limits.Faults) || faults.Count < 1 {
			t.Fatalf("Read = %v, %v", file, err)
		}
		lines := bytes.Split(text, []byte("\n"))
		for _, fault := range faults.Listed {
			if fault.Line < 0 || fault.Line > len(lines) || fault.Column < 0 ||
				fault.Line > 0 && fault.Column > len(lines[fault.Line-1])+1 {
				t.Errorf("%+v is outside of the file", fault)
			}
			if !isReason(fault.Reason, reasons) {
				t.Errorf("%q is no reason of ours", fault.Reason)
			}
		}
	})
}

// edited applies edits of four bytes: what to do, the line, the column, and the
// new character.
func edited(text string, edits []byte) []byte {
	lines := strings.Split(text, "\n")
	for ; len(edits) >= 4; edits = edits[4:] {
		line := 1 + int(edits[1])%len(lines)
		column := 1 + int(edits[2])%(len(lines[line-1])+1)
		switch edits[0] % 5 {
		case 0, 1:
			lines = put(line, column, string(edits[3:4]))(lines)
		case 2:
			lines = repeat(line)(lines)
		case 3:
			lines = replace(line, lines[line-1][:column-1])(lines)
		default:
			if len(lines) > 1 {
				lines = remove(line, line)(lines)
			}
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// checkFile fails unless the items are what a payment can be, and make up the
// totals.
func checkFile(t *testing.T, file *remittance.File, limits remittance.Limits) {
	t.Helper()

	var total, returned mortgage.Cents
	refs := map[string]bool{}
	for _, item := range file.Items {
		total += item.AmountCents
		if item.Return != nil {
			returned += item.AmountCents
			if len(item.Return.Code) != 3 || len(item.Return.OriginalTrace) != 15 {
				t.Errorf("return %+v", *item.Return)
			}
		}
		if item.AmountCents < 1 || item.AmountCents > mortgage.MaxPayment || item.Line < 1 ||
			len(item.LoanNumber) < 1 || len(item.LoanNumber) > 40 ||
			len(item.ExternalRef) < 1 || len(item.ExternalRef) > 100 || refs[item.ExternalRef] ||
			item.ReceivedOn < day("1970-01-01") || item.ReceivedOn > day("2199-12-31") ||
			item.Channel == "" || item.Designation == "" {
			t.Errorf("item %+v", item)
		}
		refs[item.ExternalRef] = true
	}
	if total != file.TotalCents || returned != file.ReturnedCents ||
		len(file.Items) < 1 || len(file.Items) > limits.Items {
		t.Errorf("%d items of %d, %d returned; totals are %d, %d",
			len(file.Items), total, returned, file.TotalCents, file.ReturnedCents)
	}
}
