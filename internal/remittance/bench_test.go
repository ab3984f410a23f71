package remittance_test

import (
	"fmt"
	"testing"

	"loanserve/internal/remittance"
)

// BenchmarkRead reads files of 100,000 items.
func BenchmarkRead(b *testing.B) {
	const items = 100_000
	numbered := func(i int) remittance.Item {
		return remittance.Item{
			LoanNumber: fmt.Sprintf("%010d", i), AmountCents: 1234_56, ReceivedOn: day("2026-01-15"),
			Channel: "lockbox", Designation: "periodic", ExternalRef: fmt.Sprintf("LBX-20260115-%06d", i),
		}
	}
	var csv, bai, nacha writer
	var all []remittance.Item
	for i := range items {
		all = append(all, numbered(i))
	}
	csv.csv(all)
	var boxes []deposit
	for i := 0; i < items; i += 5000 {
		box := deposit{day: day("2026-01-15")}
		for j := 0; j < 5000; j += 500 {
			box.batches = append(box.batches, all[i+j:i+j+500])
		}
		boxes = append(boxes, box)
	}
	bai.bai(boxes)
	batch := achBatch{day: day("2026-01-15")}
	for _, item := range all {
		batch.entries = append(batch.entries, entry{item: item, bank: 12345678})
	}
	nacha.nacha(day("2026-01-14"), []achBatch{batch})
	for format, w := range map[remittance.Format]*writer{
		remittance.FormatCSV: &csv, remittance.FormatBAI: &bai, remittance.FormatNACHA: &nacha,
	} {
		text := w.text()
		b.Run(string(format), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if file, err := read(format, text); err != nil || len(file.Items) != items {
					b.Fatal(err)
				}
			}
			b.ReportMetric(items*float64(b.N)/b.Elapsed().Seconds(), "items/s")
		})
	}
}
