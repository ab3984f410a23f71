package remittance_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"loanserve/internal/remittance"
)

// faultCase is a golden file, made bad, and what is then said of it.
type faultCase struct {
	file string
	edit edit
	want []remittance.Fault
}

// edit changes a file, given as its lines without their endings.
type edit func(lines []string) []string

// put writes a text over what is there. Lines and columns count from 1.
func put(line, column int, text string) edit {
	return func(lines []string) []string {
		old := lines[line-1]
		lines[line-1] = old[:column-1] + text + old[min(column-1+len(text), len(old)):]
		return lines
	}
}

// replace gives a line another text.
func replace(line int, text string) edit {
	return func(lines []string) []string {
		lines[line-1] = text
		return lines
	}
}

// remove leaves lines out, both ends included.
func remove(from, to int) edit {
	return func(lines []string) []string { return slices.Delete(lines, from-1, to) }
}

// repeat writes a line twice.
func repeat(line int) edit {
	return func(lines []string) []string { return slices.Insert(lines, line, lines[line-1]) }
}

// insert puts a line behind the numbered one.
func insert(line int, text string) edit {
	return func(lines []string) []string { return slices.Insert(lines, line, text) }
}

func all(edits ...edit) edit {
	return func(lines []string) []string {
		for _, e := range edits {
			lines = e(lines)
		}
		return lines
	}
}

func fault(line, column int, reason string) []remittance.Fault {
	return []remittance.Fault{{Line: line, Column: column, Reason: reason}}
}

// anyFaults are of every format.
var anyFaults = map[string]faultCase{
	"a NUL": {csvFile, put(3, 5, "\x00"), fault(3, 5, "a NUL byte: the file is binary or UTF-16, and must be ASCII")},
	"UTF-16, low byte first": {
		csvFile, utf16Lines("\xff\xfe", false), fault(1, 1, "the file is UTF-16, and must be ASCII"),
	},
	"UTF-16, high byte first": {
		lockboxFile, utf16Lines("\xfe\xff", true), fault(1, 1, "the file is UTF-16, and must be ASCII"),
	},
	"UTF-16 without a mark": {
		debitsFile, utf16Lines("", false),
		fault(1, 2, "a NUL byte: the file is binary or UTF-16, and must be ASCII"),
	},
	"a line of 10 MB": {
		debitsFile, replace(4, strings.Repeat("6", 10<<20)), fault(4, 4097, "the line is longer than the limit"),
	},
	"a NUL in a line of 10 MB": {
		debitsFile, replace(4, strings.Repeat("\x00", 10<<20)),
		fault(4, 1, "a NUL byte: the file is binary or UTF-16, and must be ASCII"),
	},
	"a letter with an accent": {debitsFile, put(3, 55, "é"), fault(3, 55, "a character that is not printable ASCII")},
	"a tab": {csvFile, insert(4, "1,1.00,2026-01-15,ach,periodic,\tx"), []remittance.Fault{
		{5, 32, "a character that is not printable ASCII"},
		{5, 32, "external_ref: is missing, too long, or has spaces around it"},
	}},
	"an empty line within": {lockboxFile, insert(5, ""), fault(6, 1, "an empty line within the file")},
	"nothing":              {csvFile, remove(1, 4), fault(0, 0, "the file has no payments and no returns")},
	"only empty lines": {
		debitsFile, all(remove(1, 20), insert(0, ""), insert(0, "")), fault(0, 0, "the file has no payments and no returns"),
	},
	"another format": {lockboxFile, replace(1, "loan_number"), fault(1, 1, "a record of this type may not come here")},
}

// utf16Lines encodes a file as UTF-16, behind a mark.
func utf16Lines(mark string, bigEndian bool) edit {
	return func(lines []string) []string {
		out := []byte(mark)
		for _, unit := range utf16.Encode([]rune(strings.Join(lines, "\n"))) {
			high, low := byte(unit>>8), byte(unit)
			if bigEndian {
				out = append(out, high, low)
			} else {
				out = append(out, low, high)
			}
		}
		return []string{string(out)}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()

	for name, tt := range allFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			lines := strings.Split(strings.TrimSuffix(golden(t, tt.file), "\n"), "\n")
			text := strings.Join(tt.edit(lines), "\n")
			if tt.file != csvFile || !strings.HasSuffix(name, "cut off") {
				text += "\n"
			}
			file, err := read(formatOf(tt.file), text)
			wantFaults(t, file, err, tt.want)
		})
	}
}

// allFaults returns every case by its name.
func allFaults() map[string]faultCase {
	cases := map[string]faultCase{}
	for prefix, table := range map[string]map[string]faultCase{
		"any": anyFaults, "csv": csvFaults, "bai": baiFaults, "nacha": nachaFaults,
	} {
		for name, tt := range table {
			cases[prefix+": "+name] = tt
		}
	}
	return cases
}
