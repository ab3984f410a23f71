package remittance_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"loanserve/internal/remittance"
	"loanserve/mortgage"
)

const (
	csvFile     = "payments.csv"
	lockboxFile = "lockbox.bai"
	debitsFile  = "debits.ach"
	creditsFile = "credits.ach"
	returnsFile = "returns.ach"
)

// golden returns a file written by hand, with controls computed by hand.
func golden(tb testing.TB, name string) string {
	tb.Helper()

	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// formatOf tells the format of a golden file by its name.
func formatOf(name string) remittance.Format {
	return map[string]remittance.Format{
		".csv": remittance.FormatCSV, ".bai": remittance.FormatBAI, ".ach": remittance.FormatNACHA,
	}[filepath.Ext(name)]
}

func read(format remittance.Format, text string) (*remittance.File, error) {
	return remittance.Read(format, strings.NewReader(text), nil, remittance.Limits{})
}

func day(text string) mortgage.Date {
	d, err := mortgage.ParseDate(text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestTheFirstAndTheLastOfARange(t *testing.T) {
	t.Parallel()

	header, _, _ := strings.Cut(golden(t, csvFile), "\n")
	loan, ref := strings.Repeat("1", 40), strings.Repeat("r", 100)
	file, err := read(remittance.FormatCSV, header+"\n"+
		"1,0.01,1970-01-01,ach,periodic,1\n"+
		loan+",100000000.00,2199-12-31,branch,payoff,"+ref+"\n")
	if err != nil || file.TotalCents != mortgage.MaxPayment+1 ||
		file.Items[1].LoanNumber != loan || file.Items[1].ExternalRef != ref {
		t.Errorf("Read = %+v, %v", file, err)
	}
}

func TestControlTies(t *testing.T) {
	t.Parallel()

	const otherItems = "control items: not the number of items in the file"
	const otherTotal = "control total: not the sum of the amounts in the file"
	tests := map[string]struct {
		control remittance.Control
		want    []remittance.Fault
	}{
		"as it is":      {remittance.Control{Items: 3, TotalCents: 2084_57}, nil},
		"an item less":  {remittance.Control{Items: 2, TotalCents: 2084_57}, []remittance.Fault{{Reason: otherItems}}},
		"a cent more":   {remittance.Control{Items: 3, TotalCents: 2084_58}, []remittance.Fault{{Reason: otherTotal}}},
		"neither holds": {remittance.Control{}, []remittance.Fault{{Reason: otherItems}, {Reason: otherTotal}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			in := strings.NewReader(golden(t, csvFile))
			file, err := remittance.Read(remittance.FormatCSV, in, &tt.control, remittance.Limits{})
			wantFaults(t, file, err, tt.want)
		})
	}
}

// wantFaults fails unless these are all the faults, and the file is withheld
// for any.
func wantFaults(t *testing.T, file *remittance.File, err error, want []remittance.Fault) {
	t.Helper()

	var got []remittance.Fault
	if faults, ok := errors.AsType[*remittance.Faults](err); ok {
		got = faults.Listed
		if faults.Count != len(got) {
			t.Errorf("Count = %d; want %d", faults.Count, len(got))
		}
	} else if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("faults\n%v\nwant\n%v", got, want)
	}
	if (file == nil) != (len(want) > 0) {
		t.Errorf("a file of %d faults is returned: %t", len(want), file != nil)
	}
}

func TestReadOtherErrors(t *testing.T) {
	t.Parallel()

	broken := errors.New("broken pipe")
	in := io.MultiReader(strings.NewReader(golden(t, csvFile)), iotest.ErrReader(broken))
	file, err := remittance.Read(remittance.FormatCSV, in, nil, remittance.Limits{})
	if file != nil || !errors.Is(err, broken) {
		t.Errorf("Read = %v, %v; want nil, %v", file, err, broken)
	}
	if file, err := read("bai2", ""); file != nil || err == nil {
		t.Errorf("Read of an unknown format = %v, %v; want an error", file, err)
	}
}

// A file is read the same however it arrives.
func TestReadByteByByte(t *testing.T) {
	t.Parallel()

	for _, name := range []string{csvFile, lockboxFile, debitsFile} {
		text := golden(t, name)
		want, err := read(formatOf(name), text)
		if err != nil {
			t.Fatal(err)
		}
		in := iotest.DataErrReader(iotest.OneByteReader(strings.NewReader(text)))
		got, err := remittance.Read(formatOf(name), in, nil, remittance.Limits{})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Read of %s = %+v, %v; want %+v", name, got, err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()

	text := golden(t, csvFile)
	tests := map[string]struct {
		limits remittance.Limits
		text   string
		want   []remittance.Fault
	}{
		"as many bytes as allowed": {remittance.Limits{Bytes: int64(len(text))}, text, nil},
		"a byte more":              {remittance.Limits{Bytes: int64(len(text)) - 1}, text, []remittance.Fault{{Reason: "the file is larger than the limit"}}},
		"as many items as allowed": {remittance.Limits{Items: 3}, text, nil},
		"an item more": {
			remittance.Limits{Items: 2},
			text,
			[]remittance.Fault{{Line: 4, Reason: "the file has more items than the limit"}},
		},
		"a line as long as allowed": {
			remittance.Limits{LineBytes: 200},
			text + strings.Repeat("x", 200) + "\n",
			[]remittance.Fault{{5, 201, "the line does not have 6 fields"}},
		},
		"a line longer by one": {
			remittance.Limits{LineBytes: 200},
			text + strings.Repeat("x", 201) + "\n",
			[]remittance.Fault{{5, 201, "the line is longer than the limit"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			file, err := remittance.Read(remittance.FormatCSV, strings.NewReader(tt.text), nil, tt.limits)
			wantFaults(t, file, err, tt.want)
		})
	}
}

func TestFaultsAreListedUpToTheLimit(t *testing.T) {
	t.Parallel()

	header, _, _ := strings.Cut(golden(t, csvFile), "\n")
	_, err := read(remittance.FormatCSV, header+"\n"+strings.Repeat("x\n", 1234))
	faults, ok := errors.AsType[*remittance.Faults](err)
	if !ok || len(faults.Listed) != 100 || faults.Count != 1234 {
		t.Errorf("Read = %v; want 100 of 1234 faults", err)
	}
}

// endless gives one byte for ever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte{byte(e)}, len(p))), nil
}

// A line without an end costs one buffer.
func TestEndlessLine(t *testing.T) {
	t.Parallel()

	for _, format := range []remittance.Format{remittance.FormatCSV, remittance.FormatBAI, remittance.FormatNACHA} {
		file, err := remittance.Read(format, endless('1'), nil, remittance.Limits{})
		wantFaults(t, file, err, []remittance.Fault{{1, 4097, "the line is longer than the limit"}})
		file, err = remittance.Read(format, endless('\n'), nil, remittance.Limits{Bytes: 1 << 20})
		wantFaults(t, file, err, []remittance.Fault{{Reason: "the file is larger than the limit"}})
	}
}

func TestErrorSaysTheFirstFault(t *testing.T) {
	t.Parallel()

	_, err := read(remittance.FormatCSV, "")
	const want = "payment file: 1 faults, the first on line 0, column 0: the file has no payments and no returns"
	if err == nil || err.Error() != want {
		t.Errorf("Error = %v; want %s", err, want)
	}
	if got := new(remittance.Faults).Error(); got != "payment file: no faults" {
		t.Errorf("Error of none = %s", got)
	}
}
