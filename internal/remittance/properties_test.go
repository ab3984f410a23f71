package remittance_test

import (
	"flag"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"loanserve/internal/remittance"
	"loanserve/mortgage"
)

// The properties are drawn from a fixed seed, so that a run is the same
// everywhere and writes no file when it fails. Others: go test -rapid.seed=0.
var _, _ = flag.Set("rapid.seed", "1026"), flag.Set("rapid.nofailfile", "true")

var (
	codes  = rapid.StringMatching(`[A-Z0-9/-]{1,15}`)
	longs  = rapid.StringMatching(`[A-Z0-9/-]{1,40}`)
	texts  = rapid.StringMatching(`[!-~]([ -~]{0,38}[!-~])?`)
	traces = rapid.StringMatching(`[0-9]{15}`)

	channels     = rapid.SampledFrom([]string{"portal", "ach", "lockbox", "wire", "check", "phone", "branch"})
	designations = rapid.SampledFrom([]string{"periodic", "principal", "escrow", "late_charge", "payoff"})
)

func drawCents(t *rapid.T) mortgage.Cents {
	return mortgage.Cents(rapid.OneOf(rapid.Int64Range(1, 1_000_000_00), rapid.Int64Range(1, 99)).Draw(t, "amount"))
}

// drawDay draws one of the years 2000 to 2099, which two digits can say.
func drawDay(t *rapid.T) mortgage.Date {
	return mortgage.Date(rapid.IntRange(int(day("2000-01-01")), int(day("2099-12-31"))).Draw(t, "day"))
}

func drawCSV(t *rapid.T) *writer {
	var items []remittance.Item
	for i := range rapid.IntRange(1, 8).Draw(t, "items") {
		items = append(items, remittance.Item{
			LoanNumber: texts.Draw(t, "loan"), AmountCents: drawCents(t), ReceivedOn: drawDay(t),
			Channel:     channels.Draw(t, "channel"),
			Designation: designations.Draw(t, "designation"),
			ExternalRef: fmt.Sprintf("%s%d", texts.Draw(t, "ref"), i),
		})
	}
	w := &writer{}
	w.csv(items)
	return w
}

func drawBAI(t *rapid.T) *writer {
	item := rapid.Custom(func(t *rapid.T) remittance.Item {
		return remittance.Item{LoanNumber: longs.Draw(t, "loan"), AmountCents: drawCents(t)}
	})
	box := rapid.Custom(func(t *rapid.T) deposit {
		batches := rapid.SliceOfN(rapid.SliceOfN(item, 0, 4), 1, 3).Draw(t, "batches")
		batches[0] = append(batches[0], item.Draw(t, "one at least"))
		return deposit{day: drawDay(t), batches: batches}
	})
	w := &writer{}
	w.bai(rapid.SliceOfN(box, 1, 3).Draw(t, "lockboxes"))
	return w
}

func drawNACHA(t *rapid.T) *writer {
	credits := rapid.Bool().Draw(t, "credits")
	one := func(t *rapid.T, prenotes bool) entry {
		e := entry{
			item:    remittance.Item{LoanNumber: codes.Draw(t, "loan"), AmountCents: drawCents(t)},
			savings: rapid.Bool().Draw(t, "savings"), addenda: rapid.Bool().Draw(t, "addenda"),
			bank: rapid.IntRange(0, 9999_9999).Draw(t, "bank"),
		}
		switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case kind == 0 && prenotes:
			e.prenote, e.item.AmountCents = true, 0
		case kind < 4 && !credits:
			code := rapid.SampledFrom([]string{"R01", "R09", "R10", "R39", "R50", "R53", "R80", "R85"}).Draw(t, "code")
			e.item.Return = &remittance.Return{Code: code, OriginalTrace: traces.Draw(t, "original")}
		}
		return e
	}
	batch := rapid.Custom(func(t *rapid.T) achBatch {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry { return one(t, true) }), 0, 5).Draw(t, "entries")
		return achBatch{credits: credits, day: drawDay(t), entries: append(entries, one(t, false))}
	})
	w := &writer{}
	w.nacha(drawDay(t), rapid.SliceOfN(batch, 1, 3).Draw(t, "batches"))
	return w
}

var drawn = map[remittance.Format]func(*rapid.T) *writer{
	remittance.FormatCSV: drawCSV, remittance.FormatBAI: drawBAI, remittance.FormatNACHA: drawNACHA,
}

// A file that was written is read back.
func TestReadIsTheInverseOfWriting(t *testing.T) {
	t.Parallel()

	for format, draw := range drawn {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()

			rapid.Check(t, func(t *rapid.T) {
				w := draw(t)
				file, err := read(format, w.text())
				if err != nil {
					t.Fatalf("%v in\n%s", err, w.text())
				}
				total, returned := w.total()
				if file.TotalCents != total || file.ReturnedCents != returned || file.Skipped != w.skipped {
					t.Fatalf("totals %d, %d, %d; want %d, %d, %d",
						file.TotalCents, file.ReturnedCents, file.Skipped, total, returned, w.skipped)
				}
				if !reflect.DeepEqual(file.Items, w.items) {
					t.Fatalf("items\n%+v\nwant\n%+v", file.Items, w.items)
				}
			})
		})
	}
}

// No digit of any amount can change unnoticed, in an item or in a control.
func TestAnotherDigitOfAnAmountIsRefused(t *testing.T) {
	t.Parallel()

	for format, draw := range drawn {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()

			rapid.Check(t, func(t *rapid.T) {
				w := draw(t)
				total, _ := w.total()
				control := &remittance.Control{Items: len(w.items), TotalCents: total}
				at := rapid.SampledFrom(w.amounts).Draw(t, "amount")
				column := at.column + rapid.IntRange(0, at.width-1).Draw(t, "digit")
				old := w.lines[at.line-1][column-1]
				if old == '.' {
					column--
					old = w.lines[at.line-1][column-1]
				}
				digit := '0' + (old-'0'+byte(rapid.IntRange(1, 9).Draw(t, "more")))%10
				put(at.line, column, string(rune(digit)))(w.lines)
				file, err := remittance.Read(format, strings.NewReader(w.text()), control, remittance.Limits{})
				if file != nil || err == nil {
					t.Fatalf("line %d, column %d was changed, and Read = %+v", at.line, column, file)
				}
			})
		})
	}
}

// A fixed-width file that ends early is refused, wherever it ends.
func TestAFileCutShortIsRefused(t *testing.T) {
	t.Parallel()

	for _, name := range []string{lockboxFile, debitsFile, creditsFile, returnsFile} {
		text := golden(t, name)
		whole := len(text) - 1 // without the last line ending
		if name == debitsFile {
			whole = strings.Index(text, "\n"+strings.Repeat("9", 94)) // without the fill
		}
		for n := range whole {
			if file, err := read(formatOf(name), text[:n]); file != nil || err == nil {
				t.Fatalf("the first %d bytes of %s are taken", n, name)
			}
		}
	}
}
