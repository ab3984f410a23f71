package remittance_test

import (
	"strings"

	"loanserve/internal/remittance"
)

const (
	addendaReason   = "addenda type code: an addenda record that this entry cannot have"
	noAddendaReason = "addenda record indicator: the addenda record that this entry needs is missing"
	codeReason      = "transaction code: a transaction code that is not taken"
	returnReason    = "return reason code: not a code for the return of a payment"
	fillerReason    = "after the file control only lines of nines may come, to the end of its block"
)

var nachaFaults = map[string]faultCase{
	"cut after the header":        {debitsFile, remove(2, 20), fault(1, 0, truncatedReason)},
	"cut after an entry":          {debitsFile, remove(5, 20), fault(4, 0, truncatedReason)},
	"cut before the file control": {debitsFile, remove(11, 20), fault(10, 0, truncatedReason)},
	"cut within the file control": {debitsFile, all(remove(12, 20), replace(11, "9000002")), fault(11, 8, lengthReason)},
	"no newlines at all":          {debitsFile, func(lines []string) []string { return []string{strings.Join(lines, "")} }, fault(1, 95, lengthReason)},
	"spaces trimmed at the end":   {debitsFile, func(lines []string) []string { lines[0] = strings.TrimRight(lines[0], " "); return lines }, fault(1, 72, lengthReason)},
	"an entry too long":           {debitsFile, put(4, 95, " "), fault(4, 95, lengthReason)},
	"an addenda record too short": {debitsFile, replace(5, "705"), fault(5, 4, lengthReason)},
	"no batch header":             {debitsFile, remove(2, 2), fault(2, 1, orderReason)},
	"an empty batch":              {debitsFile, remove(9, 9), fault(9, 1, orderReason)},
	"no batch control":            {debitsFile, remove(7, 7), fault(7, 1, orderReason)},
	"a batch behind the end":      {debitsFile, all(remove(12, 20), repeat(8)), fault(9, 1, orderReason)},
	"no batches": {
		debitsFile,
		all(remove(2, 10), remove(3, 11), replace(2, "9000000000001"+strings.Repeat("0", 42)+strings.Repeat(" ", 39))),
		fault(0, 0, "the file has no payments and no returns"),
	},
	"another priority code":       {debitsFile, put(1, 2, "02"), fault(1, 2, "priority code: not the value that this format has here")},
	"a creation date of spaces":   {debitsFile, put(1, 24, "      "), fault(1, 24, "file creation date: must be a calendar day as YYMMDD")},
	"another record size":         {debitsFile, put(1, 35, "095"), fault(1, 35, "record size: not the value that this format has here")},
	"another blocking factor":     {debitsFile, put(1, 38, "01"), fault(1, 38, "blocking factor: not the value that this format has here")},
	"another format code":         {debitsFile, put(1, 40, "2"), fault(1, 40, "format code: not the value that this format has here")},
	"another service class":       {debitsFile, put(2, 2, "280"), fault(2, 2, "service class code: not the value that this format has here")},
	"international entries":       {debitsFile, put(2, 51, "IAT"), fault(2, 51, "standard entry class: a class of entries that is not taken")},
	"checks turned into entries":  {debitsFile, put(2, 51, "ARC"), fault(2, 51, "standard entry class: a class of entries that is not taken")},
	"half a class":                {debitsFile, put(2, 51, "PD "), fault(2, 51, "standard entry class: a class of entries that is not taken")},
	"a bank that is no number":    {debitsFile, put(2, 80, "X"), fault(2, 80, "originating bank: must be digits")},
	"a batch number of spaces":    {debitsFile, put(2, 88, "       "), fault(2, 88, "batch number: must be digits")},
	"no effective date":           {debitsFile, put(2, 70, "      "), fault(2, 70, "effective entry date: must be a calendar day as YYMMDD")},
	"an account that is ours":     {debitsFile, put(3, 2, "47"), fault(3, 2, codeReason)},
	"an unknown transaction code": {debitsFile, put(3, 2, "24"), fault(3, 2, codeReason)},
	"a bank that does not exist":  {debitsFile, put(3, 12, "1"), fault(3, 12, "check digit: does not fit the eight digits before it")},
	"a check digit that is none":  {debitsFile, put(3, 12, "X"), fault(3, 12, "check digit: must be digits")},
	"an amount with a point":      {debitsFile, put(3, 30, "0001234.56"), fault(3, 37, "amount: must be digits")},
	"a payment of nothing":        {debitsFile, put(3, 30, "0000000000"), fault(3, 30, amountReason)},
	"no loan number":              {debitsFile, put(3, 40, "          "), fault(3, 40, "individual identification number: is missing, too long, or has spaces around it")},
	"no loan number behind the name": {
		creditsFile, put(3, 55, "          "),
		fault(3, 55, "individual identification number: is missing, too long, or has spaces around it"),
	},
	"a trace number of spaces":    {debitsFile, put(3, 80, "               "), fault(3, 80, "trace number: must be digits")},
	"an unknown indicator":        {debitsFile, put(3, 79, " "), fault(3, 79, "addenda record indicator: not the value that this format has here")},
	"a credit among debits":       {debitsFile, put(3, 2, "22"), []remittance.Fault{{3, 2, "transaction code: a debit in a batch of credits, or a credit in a batch of debits"}, {4, 2, "transaction code: credits and debits in one file; an offset is no payment"}, {9, 2, "transaction code: credits and debits in one file; an offset is no payment"}}},
	"a debit among credits":       {creditsFile, put(4, 2, "37"), []remittance.Fault{{4, 2, "transaction code: a debit in a batch of credits, or a credit in a batch of debits"}, {4, 2, "transaction code: credits and debits in one file; an offset is no payment"}}},
	"an offset":                   {creditsFile, all(put(2, 2, "200"), put(5, 2, "200"), put(4, 2, "27")), fault(4, 2, "transaction code: credits and debits in one file; an offset is no payment")},
	"a prenote with money":        {debitsFile, put(6, 39, "1"), fault(6, 30, "amount: must be zero in an entry that moves no money")},
	"a trace twice in a batch":    {debitsFile, all(put(3, 80, "123456780000002")), fault(4, 80, "the same reference as the item on line 3")},
	"addenda not announced":       {debitsFile, put(4, 79, "0"), fault(5, 2, addendaReason)},
	"addenda announced, and none": {debitsFile, put(3, 79, "1"), fault(3, 79, noAddendaReason)},
	"a second addenda record":     {debitsFile, repeat(5), []remittance.Fault{{6, 2, addendaReason}, {21, 1, fillerReason}}},
	"addenda of another kind":     {debitsFile, put(5, 2, "02"), fault(5, 2, addendaReason)},
	"addenda of another entry":    {debitsFile, put(5, 94, "3"), fault(5, 88, "entry sequence number: not as in the record that it belongs to")},
	"a return of a payment":       {debitsFile, put(5, 2, "99"), fault(5, 2, addendaReason)},
	"a notice of a payment":       {debitsFile, put(5, 2, "98"), fault(5, 2, addendaReason)},

	"a return with payment information": {returnsFile, put(4, 2, "05"), fault(4, 2, addendaReason)},
	"a return without addenda":          {returnsFile, all(put(3, 79, "0"), remove(4, 4)), fault(3, 79, noAddendaReason)},
	"a return of another entry":         {returnsFile, put(4, 94, "9"), fault(4, 80, "trace number: not as in the record that it belongs to")},
	"a return without a code":           {returnsFile, put(4, 4, "   "), fault(4, 4, returnReason)},
	"R00":                               {returnsFile, put(4, 4, "R00"), fault(4, 4, returnReason)},
	"R0X":                               {returnsFile, put(4, 4, "R0X"), fault(4, 4, returnReason)},
	"the return of an enrollment":       {returnsFile, put(4, 4, "R40"), fault(4, 4, returnReason)},
	"a return that banks dispute":       {returnsFile, put(4, 4, "R71"), fault(4, 4, returnReason)},
	"R86":                               {returnsFile, put(4, 4, "R86"), fault(4, 4, returnReason)},
	"no original trace":                 {returnsFile, put(4, 7, "               "), fault(4, 7, "original trace number: must be digits")},
	"a return of no loan":               {returnsFile, put(3, 40, "          "), fault(3, 40, "individual identification number: is missing, too long, or has spaces around it")},
	"a credit that came back":           {returnsFile, all(put(2, 2, "200"), put(7, 2, "200"), put(3, 2, "21")), fault(3, 2, "transaction code: the return of a credit that was sent, which is no payment")},
	"a notice of change with money":     {returnsFile, put(9, 39, "1"), fault(9, 30, "amount: must be zero in an entry that moves no money")},

	"another class in the control":   {debitsFile, put(7, 2, "200"), fault(7, 2, "service class code: not as in the header that it belongs to")},
	"another company in the control": {debitsFile, put(7, 45, "9"), fault(7, 45, "company identification: not as in the header that it belongs to")},
	"another bank in the control":    {debitsFile, put(7, 80, "9"), fault(7, 80, "originating bank: not as in the header that it belongs to")},
	"another batch in the control":   {debitsFile, put(7, 94, "9"), fault(7, 80, "originating bank: not as in the header that it belongs to")},
	"a wrong count in a batch":       {debitsFile, all(put(7, 10, "5"), put(11, 21, "6")), fault(7, 5, "entry and addenda count: not the number of records that it covers")},
	"a wrong hash in a batch":        {debitsFile, all(put(7, 20, "6"), put(11, 31, "5")), fault(7, 11, "entry hash: not the sum over the records that it covers")},
	"wrong debits in a batch":        {debitsFile, all(put(7, 32, "7"), put(11, 43, "1")), fault(7, 21, "total debits: not the sum over the records that it covers")},
	"wrong credits in a batch":       {debitsFile, all(put(7, 44, "1"), put(11, 55, "1")), fault(7, 33, "total credits: not the sum over the records that it covers")},
	"a wrong amount":                 {debitsFile, put(3, 39, "7"), fault(7, 21, "total debits: not the sum over the records that it covers")},
	"another bank in an entry":       {debitsFile, put(3, 4, "234567898"), fault(7, 11, "entry hash: not the sum over the records that it covers")},
	"a control that is no number":    {debitsFile, put(7, 11, " "), fault(7, 11, "entry hash: must be digits")},
	"a wrong count of batches":       {debitsFile, put(11, 7, "3"), fault(11, 2, "batch count: not the number of records that it covers")},
	"a wrong count of blocks":        {debitsFile, put(11, 13, "1"), fault(11, 8, "block count: not the number of records that it covers")},
	"a wrong count in the file":      {debitsFile, put(11, 21, "6"), fault(11, 14, "entry and addenda count: not the number of records that it covers")},
	"a wrong hash in the file":       {debitsFile, put(11, 31, "5"), fault(11, 22, "entry hash: not the sum over the records that it covers")},
	"wrong debits in the file":       {debitsFile, put(11, 43, "1"), fault(11, 32, "total debits: not the sum over the records that it covers")},
	"wrong credits in the file":      {debitsFile, put(11, 55, "1"), fault(11, 44, "total credits: not the sum over the records that it covers")},
	"text behind the file control":   {debitsFile, put(11, 90, "X"), fault(11, 90, "reserved: must be blank")},
	"a control that is no control":   {debitsFile, put(11, 2, "X"), fault(11, 2, "batch count: must be digits")},
	"fill that is not all nines":     {debitsFile, put(14, 90, "8"), fault(14, 1, fillerReason)},
	"fill beyond the block":          {debitsFile, repeat(20), fault(21, 1, fillerReason)},
	"a bad record, and a wrong total of another batch": {
		debitsFile, all(put(3, 30, "X"), put(10, 32, "5"), put(11, 43, "1")),
		[]remittance.Fault{
			{3, 30, "amount: must be digits"},
			{10, 21, "total debits: not the sum over the records that it covers"},
		},
	},
	"two bad records": {debitsFile, all(put(3, 30, "X"), put(9, 30, "Y")), []remittance.Fault{{3, 30, "amount: must be digits"}, {9, 30, "amount: must be digits"}}},
}
