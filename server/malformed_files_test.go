package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"loanserve/queries"
	"loanserve/server"
)

// goodFile is a file of the manual that is taken as it is, and what it may be
// sent with.
type goodFile struct {
	query, text string
}

// goodFiles returns a file of each format.
func goodFiles(t *testing.T) map[string]goodFile {
	t.Helper()

	files := map[string]goodFile{}
	for name, query := range map[string]string{
		"payments.csv": "format=csv&items=3&total_cents=208457", "lockbox.bai": "format=bai_lockbox",
		"debits.ach": "format=nacha", "returns.ach": "format=nacha",
	} {
		text, err := os.ReadFile("../internal/remittance/testdata/" + name)
		require.NoError(t, err)
		files[name] = goodFile{query: query, text: string(text)}
	}
	return files
}

// edit makes a bad file of a good one.
type edit func(text string) string

// onLines edits a file's lines. Lines and columns count from 1.
func onLines(change func(lines []string) []string) edit {
	return func(text string) string {
		return strings.Join(change(strings.Split(strings.TrimSuffix(text, "\n"), "\n")), "\n") + "\n"
	}
}

// put overwrites columns of a line.
func put(line, column int, text string) edit {
	return onLines(func(lines []string) []string {
		old := lines[line-1]
		lines[line-1] = old[:column-1] + text + old[column-1+len(text):]
		return lines
	})
}

// cut keeps so many lines.
func cut(n int) edit { return onLines(func(lines []string) []string { return lines[:n] }) }

// drop leaves out lines from the first to the last.
func drop(first, last int) edit {
	return onLines(func(lines []string) []string { return slices.Delete(lines, first-1, last) })
}

func all(edits ...edit) edit {
	return func(text string) string {
		for _, e := range edits {
			text = e(text)
		}
		return text
	}
}

// halfOfLine ends a file in the middle of a line.
func halfOfLine(n int) edit {
	return func(text string) string {
		lines := strings.SplitAfterN(text, "\n", n+1)
		return strings.Join(lines[:n-1], "") + lines[n-1][:len(lines[n-1])/2]
	}
}

// tenMegabytes makes a line far too long.
func tenMegabytes(line int) edit {
	return onLines(func(lines []string) []string {
		lines[line-1] = strings.Repeat(lines[line-1], 10<<20/len(lines[line-1])+1)
		return lines
	})
}

func asUTF16(mark string) edit {
	return func(text string) string {
		var b strings.Builder
		for _, unit := range utf16.Encode([]rune(mark + text)) {
			b.WriteByte(byte(unit))
			b.WriteByte(byte(unit >> 8))
		}
		return b.String()
	}
}

func is(text string) edit { return func(string) string { return text } }

const (
	csv     = "payments.csv"
	lockbox = "lockbox.bai"
	debits  = "debits.ach"
	returns = "returns.ach"
)

// badFiles are the ways in which a file of each format can be wrong, with a part
// of the first fault.
var badFiles = map[string]struct {
	file  string
	edit  edit
	fault string
}{
	"csv truncated within a line":     {csv, halfOfLine(3), "the line does not have 6 fields"},
	"csv truncated between lines":     {csv, cut(3), "control items"},
	"csv truncated in the last line":  {csv, func(text string) string { return strings.TrimSuffix(text, "\n") }, "no line ending"},
	"lockbox truncated within a line": {lockbox, halfOfLine(9), "the record does not have the length"},
	"lockbox truncated in a batch":    {lockbox, cut(9), "the file ends before its last total record"},
	"lockbox truncated behind one":    {lockbox, cut(10), "the file ends before its last total record"},
	"lockbox truncated at its end":    {lockbox, cut(15), "the file ends before its last total record"},
	"nacha truncated within a line":   {debits, halfOfLine(4), "the record does not have the length"},
	"nacha truncated in a batch":      {debits, cut(4), "the file ends before its last total record"},
	"nacha truncated behind one":      {debits, cut(7), "the file ends before its last total record"},
	"nacha truncated at its end":      {debits, cut(10), "the file ends before its last total record"},
	"returns truncated in an entry":   {returns, cut(3), "the file ends before its last total record"},
	"returns truncated at its end":    {returns, cut(11), "the file ends before its last total record"},

	"csv with another amount":          {csv, put(2, 12, "1234.57"), "control total"},
	"csv without a line":               {csv, drop(3, 3), "control items"},
	"lockbox with another amount":      {lockbox, put(4, 8, "0000123457"), "total amount: not the sum"},
	"lockbox with another batch total": {lockbox, put(7, 24, "0000208457"), "total amount: not the sum"},
	"lockbox with another total":       {lockbox, put(11, 25, "0000408501"), "total amount: not the sum"},
	"lockbox with another count":       {lockbox, put(7, 21, "003"), "not the number of records"},
	"lockbox with another file count":  {lockbox, put(16, 2, "000017"), "not the number of records"},
	"nacha with another amount":        {debits, put(3, 39, "7"), "total debits: not the sum"},
	"nacha with another batch total":   {debits, put(7, 32, "7"), "total debits: not the sum"},
	"nacha with another total":         {debits, put(11, 43, "1"), "total debits: not the sum"},
	"nacha with another count":         {debits, put(11, 21, "6"), "not the number of records"},
	"returns with another amount":      {returns, put(3, 39, "1"), "total debits: not the sum"},

	"nacha with another batch hash":   {debits, put(7, 20, "6"), "entry hash: not the sum"},
	"nacha with another hash":         {debits, put(11, 31, "5"), "entry hash: not the sum"},
	"returns with another batch hash": {returns, put(7, 20, "7"), "entry hash: not the sum"},
	"returns with another hash":       {returns, put(12, 31, "8"), "entry hash: not the sum"},

	"csv with a line of 10 MB":     {csv, tenMegabytes(3), "the line is longer than the limit"},
	"lockbox with a line of 10 MB": {lockbox, tenMegabytes(5), "the line is longer than the limit"},
	"nacha with a line of 10 MB":   {debits, tenMegabytes(4), "the line is longer than the limit"},
	"a file of one line of 10 MB":  {csv, is(strings.Repeat("x", 10<<20)), "the line is longer"},

	"csv with a NUL":         {csv, put(3, 3, "\x00"), "a NUL byte"},
	"lockbox with a NUL":     {lockbox, put(5, 60, "\x00"), "a NUL byte"},
	"nacha with a NUL":       {debits, put(4, 60, "\x00"), "a NUL byte"},
	"a NUL behind the file":  {csv, func(text string) string { return text + "\x00" }, "a NUL byte"},
	"csv in UTF-16":          {csv, asUTF16("\ufeff"), "the file is UTF-16"},
	"lockbox in UTF-16":      {lockbox, asUTF16("\ufeff"), "the file is UTF-16"},
	"nacha in UTF-16":        {debits, asUTF16("\ufeff"), "the file is UTF-16"},
	"csv in bare UTF-16":     {csv, asUTF16(""), "a NUL byte"},
	"lockbox in bare UTF-16": {lockbox, asUTF16(""), "a NUL byte"},
	"nacha in bare UTF-16":   {debits, asUTF16(""), "a NUL byte"},

	"csv with a duplicate": {csv, onLines(func(lines []string) []string {
		lines[2] = "1000000002,0.01,2026-01-15,wire,principal,LBX-0115-001"
		return lines
	}), "the same reference as the item on line 2"},
	"lockbox with a duplicate": {lockbox, all(put(5, 5, "001"), put(6, 5, "001")), "the same reference as the item on line 4"},
	"nacha with a duplicate":   {debits, put(3, 80, "123456780000002"), "the same reference as the item on line 3"},
	"returns with a duplicate": {returns, all(put(5, 80, "234567890000101"), put(6, 80, "234567890000101")), "the same reference as the item on line 3"},

	"csv without items":     {csv, cut(1), "no payments and no returns"},
	"lockbox without items": {lockbox, all(drop(3, 15), put(3, 2, "000003")), "no payments and no returns"},
	"nacha without items": {debits, all(drop(2, 10), cut(10),
		put(2, 2, "000000"+"000001"+strings.Repeat("0", 42))), "no payments and no returns"},
	"nothing at all":     {csv, is(""), "no payments and no returns"},
	"nothing of lockbox": {lockbox, is("\n\n"), "no payments and no returns"},
	"nothing of nacha":   {debits, is(""), "no payments and no returns"},
}

// Whatever is wrong with a file, sent as it is or as a form: the answer names
// the place, repeats nothing, and nothing of it is stored.
func TestMalformedFilesLeaveNothing(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	for _, number := range []string{"1000000001", "1000000002", "10,0003", "1000000003", "1000000004"} {
		boardNumber(t, l, number)
	}
	for name, bad := range badFiles {
		good := goodFiles(t)[bad.file]
		text := bad.edit(good.text)
		for how, w := range map[string]*httptest.ResponseRecorder{
			"as it is":  l.send(good.query, "k", strings.NewReader(text)),
			"in a form": l.sendForm(good.query, "k", formOf(filePart(text))),
		} {
			require.Equal(t, http.StatusUnprocessableEntity, w.Code, "%s %s: %s", name, how, w.Body)
			var p server.Problem
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
			require.Equal(t, "invalid", p.Code, name)
			require.Contains(t, p.Errors[0].Detail, bad.fault, "%s %s", name, how)
			require.LessOrEqual(t, len(p.Errors), 100)
			require.NotContains(t, w.Body.String(), "4455667788", name)
		}
	}
	nothingStored(t, l)
	for name, good := range goodFiles(t) { // The keys are as good as new.
		answer(t, l.send(good.query, name, strings.NewReader(good.text)), http.StatusAccepted)
	}
}

// Items of loans that are closed are refused by their rules, and those of loans
// that nobody has are exceptions; the others of the file are posted.
func TestItemsOfClosedAndUnknownLoans(t *testing.T) {
	t.Parallel()

	const items = 3
	for name, loans := range map[string][items]string{
		csv:     {"1000000001", "1000000002", "10,0003"},
		lockbox: {"1000000003", "SERVICER-A/POOL-2019/1000000002", "1000000001"},
		debits:  {"1000000001", "1000000002", "1000000004"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			l := setupLive(t)
			paidOff, archived := boardNumber(t, l, loans[0]), boardNumber(t, l, loans[1])
			payOff(t, l, paidOff)
			_, err := l.db.Super.Exec(t.Context(), `UPDATE loans SET status = 'archived' WHERE id = $1`, archived.ID)
			require.NoError(t, err)
			seq := l.count(t, `SELECT sum(last_seq) FROM loans`)
			payments := l.count(t, countPayments)

			good := goodFiles(t)[name]
			w := l.send(good.query, "f", strings.NewReader(good.text))
			answer(t, w, http.StatusAccepted)
			l.work(t)
			got := l.finished(t, w.Header().Get("Location"))
			unknown := int(got["items"].(float64)) - 2
			require.Equal(t, map[string]int{"rejected": 2, "exception": unknown}, counts(t, got))
			require.Equal(t, payments+2, l.count(t, countPayments))
			require.Equal(t, unknown, l.count(t, `SELECT count(*) FROM payment_batch_items WHERE reason = 'unknown_loan'`))
			for _, reason := range []string{"loan_paid_off", "loan_archived"} {
				require.Equal(t, 1, l.count(t, `SELECT count(*) FROM payment_batch_items i JOIN payments p ON p.id = i.payment_id
					WHERE i.reason = '`+reason+`' AND p.reason = i.reason AND p.status = 'rejected' AND i.status = 'rejected'`))
			}
			require.Equal(t, seq, l.count(t, `SELECT sum(last_seq) FROM loans`), "no books changed")
			requireSoundBooks(t, l)
		})
	}
}

// payOff pays a loan off before the days of the sample files.
func payOff(t *testing.T, l *live, loan queries.Loan) {
	t.Helper()

	w := l.call(http.MethodPost, fmt.Sprintf("/v1/loans/%d/payments", loan.ID),
		`{"amount_cents":30000000,"received_on":"2026-01-05","channel":"wire","designation":"payoff"}`,
		"Idempotency-Key", "payoff")
	answer(t, w, http.StatusAccepted)
	l.work(t)
	paid := answer(t, l.call(http.MethodGet, w.Header().Get("Location"), "", "Prefer", "wait=30"), 200)
	require.Equal(t, "posted", paid["status"], paid)
	after, err := l.q.GetLoan(t.Context(), loan.ID)
	require.NoError(t, err)
	require.Equal(t, queries.LoanStatusPaidOff, after.Status)
}
