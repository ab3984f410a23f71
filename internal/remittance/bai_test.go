package remittance_test

import (
	"strings"

	"loanserve/internal/remittance"
)

const (
	lengthReason    = "the record does not have the length of this format"
	orderReason     = "a record of this type may not come here"
	truncatedReason = "the file ends before its last total record"
)

var baiFaults = map[string]faultCase{
	"cut after the header":       {lockboxFile, remove(2, 16), fault(1, 0, truncatedReason)},
	"cut after a batch":          {lockboxFile, remove(8, 16), fault(7, 0, truncatedReason)},
	"cut before the trailer":     {lockboxFile, remove(16, 16), fault(15, 0, truncatedReason)},
	"cut within the trailer":     {lockboxFile, replace(16, "900001"), fault(16, 7, lengthReason)},
	"a header too short":         {lockboxFile, replace(1, "101"), fault(1, 4, lengthReason)},
	"a remittance too long":      {lockboxFile, put(4, 81, " "), fault(4, 81, lengthReason)},
	"a remittance too short":     {lockboxFile, replace(5, "6001002"), fault(5, 8, lengthReason)},
	"an overflow too short":      {lockboxFile, replace(6, "4001002"), fault(6, 8, lengthReason)},
	"no service header":          {lockboxFile, remove(2, 2), fault(2, 1, orderReason)},
	"no batch header":            {lockboxFile, remove(3, 3), fault(3, 1, orderReason)},
	"no batch total":             {lockboxFile, remove(7, 7), fault(7, 1, orderReason)},
	"no lockbox total":           {lockboxFile, remove(15, 15), fault(15, 1, orderReason)},
	"a record behind the end":    {lockboxFile, repeat(16), fault(17, 1, orderReason)},
	"an unknown record":          {lockboxFile, put(6, 1, "3"), fault(6, 1, orderReason)},
	"no remittances":             {lockboxFile, all(remove(3, 15), put(3, 2, "000003")), fault(0, 0, "the file has no payments and no returns")},
	"another priority code":      {lockboxFile, put(1, 2, "02"), fault(1, 2, "priority code: not the value that this format has here")},
	"a file date that is none":   {lockboxFile, put(1, 24, "261301"), fault(1, 24, "file date: must be a calendar day as YYMMDD")},
	"a file time that is none":   {lockboxFile, put(1, 30, "9:30"), fault(1, 31, "file time: must be digits")},
	"another service":            {lockboxFile, put(2, 32, "500"), fault(2, 32, "service type: not the value that this format has here")},
	"another record size":        {lockboxFile, put(2, 35, "104"), fault(2, 35, "record size: not the value that this format has here")},
	"another format code":        {lockboxFile, put(2, 42, "2"), fault(2, 42, "format code: not the value that this format has here")},
	"no deposit date":            {lockboxFile, put(3, 15, "      "), fault(3, 15, "deposit date: must be a calendar day as YYMMDD")},
	"a lockbox without a total":  {lockboxFile, put(8, 8, "0009999"), fault(8, 8, "lockbox number: not as in the header that it belongs to")},
	"text in the filler":         {lockboxFile, put(9, 76, "X"), fault(9, 76, "filler: must be blank")},
	"an amount with a point":     {lockboxFile, put(9, 8, "0002000.44"), fault(9, 15, "amount: must be digits")},
	"no money":                   {lockboxFile, put(9, 8, "0000000000"), fault(9, 8, amountReason)},
	"a routing number of spaces": {lockboxFile, put(9, 18, "         "), fault(9, 18, "payer's routing number: must be digits")},
	"no loan number":             {lockboxFile, put(9, 54, "          "), fault(9, 54, "loan number: is missing, too long, or has spaces around it")},
	"an item of another batch":   {lockboxFile, put(9, 2, "003"), fault(9, 2, "batch number: not as in the header that it belongs to")},
	"an item twice": {lockboxFile, put(5, 5, "001"), []remittance.Fault{
		{6, 2, "batch number: not as in the record that it belongs to"},
	}},
	"an item twice, with its overflow": {
		lockboxFile, all(put(5, 5, "001"), put(6, 5, "001")),
		fault(5, 2, "the same reference as the item on line 4"),
	},
	"the batch number of a day twice": {
		lockboxFile, all(put(8, 2, "001"), put(9, 2, "001"), put(10, 2, "001")),
		fault(9, 2, "the same reference as the item on line 4"),
	},

	"an overflow of another record": {lockboxFile, put(6, 8, "5"), fault(6, 8, "overflow type: not the value that this format has here")},
	"an overflow out of sequence":   {lockboxFile, put(6, 9, "02"), fault(6, 9, "overflow sequence: not the value that this format has here")},
	"an unknown overflow indicator": {lockboxFile, put(6, 11, "1"), fault(6, 11, "overflow indicator: not the value that this format has here")},
	"an overflow that is missing":   {lockboxFile, put(6, 11, "0"), fault(5, 0, "overflow indicator: does not agree with the overflow records that follow")},
	"an overflow behind the last": {
		lockboxFile, all(put(16, 7, "7"), insert(6, "40010026029"+strings.Repeat(" ", 69))),
		fault(7, 11, "overflow indicator: does not agree with the overflow records that follow"),
	},
	"a loan number that had ended": {lockboxFile, put(5, 73, " "), fault(6, 12, "loan number: goes on after it ended, or is longer than 40 characters")},
	"a loan number of 41": {
		lockboxFile,
		all(
			put(6, 11, "0"), put(6, 12, strings.Repeat("1", 20)), put(16, 7, "7"),
			insert(6, "40010026029"+"2"+strings.Repeat(" ", 68)),
		),
		fault(7, 12, "loan number: goes on after it ended, or is longer than 40 characters"),
	},

	"a total of another batch":            {lockboxFile, put(10, 2, "001"), fault(10, 2, "batch number: not as in the header that it belongs to")},
	"a total of another lockbox":          {lockboxFile, put(10, 8, "0001235"), fault(10, 8, "lockbox number: not as in the header that it belongs to")},
	"a total of another day":              {lockboxFile, put(10, 15, "260116"), fault(10, 15, "deposit date: not as in the header that it belongs to")},
	"a wrong count of a batch":            {lockboxFile, all(put(10, 21, "002"), put(11, 21, "0004")), fault(10, 21, "number of remittances: not the number of records that it covers")},
	"a wrong total of a batch":            {lockboxFile, all(put(10, 33, "5"), put(11, 34, "1")), fault(10, 24, "total amount: not the sum over the records that it covers")},
	"a wrong amount":                      {lockboxFile, put(4, 17, "7"), fault(7, 24, "total amount: not the sum over the records that it covers")},
	"a wrong count of a lockbox":          {lockboxFile, put(11, 21, "0004"), fault(11, 21, "number of remittances: not the number of records that it covers")},
	"a wrong total of a lockbox":          {lockboxFile, put(11, 34, "1"), fault(11, 25, "total amount: not the sum over the records that it covers")},
	"a wrong count of records":            {lockboxFile, put(16, 7, "7"), fault(16, 2, "number of records: not the number of records that it covers")},
	"a remittance left out":               {lockboxFile, remove(4, 4), []remittance.Fault{{6, 21, "number of remittances: not the number of records that it covers"}, {6, 24, "total amount: not the sum over the records that it covers"}, {15, 2, "number of records: not the number of records that it covers"}}},
	"a lockbox left out":                  {lockboxFile, remove(12, 15), fault(12, 2, "number of records: not the number of records that it covers")},
	"a batch total that is no number":     {lockboxFile, put(10, 24, " "), fault(10, 24, "total amount: must be digits")},
	"a lockbox total that is no number":   {lockboxFile, put(11, 25, " "), fault(11, 25, "total amount: must be digits")},
	"a count of records that is no count": {lockboxFile, put(16, 2, "    16"), fault(16, 2, "number of records: must be digits")},
	"a bad record, and a wrong total of another batch": {
		lockboxFile, all(put(4, 8, "X"), put(10, 33, "5"), put(11, 34, "1")),
		[]remittance.Fault{
			{4, 8, "amount: must be digits"},
			{10, 24, "total amount: not the sum over the records that it covers"},
		},
	},
	"two bad records": {lockboxFile, all(put(4, 8, "X"), put(9, 8, "Y")), []remittance.Fault{{4, 8, "amount: must be digits"}, {9, 8, "amount: must be digits"}}},
}
