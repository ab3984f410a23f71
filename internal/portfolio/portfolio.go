// Package portfolio is the demo's portfolio: 23 mortgage loans with invented
// borrowers, counties and insurers, and what the borrowers paid in October 2026.
//
// Inside: the bodies of the requests that board the loans and submit the
// payments, as the API takes them, each with the idempotency key that makes
// sending it twice harmless. Not inside: sending them.
//
// The idea to hold: every figure follows from the note. A loan's payment is the
// level payment of its original terms, its principal is what the schedule
// leaves after the paid installments, and its escrow payment is a twelfth of
// its bills of a year. The tests compute all of them again.
//
// Loan LS-1004 is the example of 12 CFR 1026 Supplement I, comment 41(d)(3)-1:
// 600, 300 and 400 dollars against a periodic payment of 1,000.
package portfolio

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed loans.json
var loansJSON []byte

//go:embed payments.json
var paymentsJSON []byte

// SuspenseExample is the number of the loan of comment 41(d)(3)-1.
const SuspenseExample = "LS-1004"

// Loan is a loan to board.
type Loan struct {
	Number string
	Name   string
	Key    string          // of idempotency
	Body   json.RawMessage // of POST /v1/loans
}

// Payment is a payment to submit.
type Payment struct {
	LoanNumber string          `json:"loan_number"`
	Key        string          `json:"idempotency_key"`
	Body       json.RawMessage `json:"payment"` // of POST /v1/loans/{loan_id}/payments
}

// Loans returns the loans in order of number. It panics when the data compiled
// into the program cannot be read.
func Loans() []Loan {
	var bodies []json.RawMessage
	must("loans", json.Unmarshal(loansJSON, &bodies))
	loans := make([]Loan, len(bodies))
	for i, body := range bodies {
		var named struct {
			LoanNumber string `json:"loan_number"`
			Name       string `json:"name"`
		}
		must("loan", json.Unmarshal(body, &named))
		loans[i] = Loan{Number: named.LoanNumber, Name: named.Name, Key: "demo-" + named.LoanNumber, Body: body}
	}
	return loans
}

// Payments returns the payments by loan, and those of a loan by the day they
// were received. It panics as Loans does.
func Payments() []Payment {
	var payments []Payment
	must("payments", json.Unmarshal(paymentsJSON, &payments))
	return payments
}

func must(what string, err error) {
	if err != nil {
		panic(fmt.Sprintf("portfolio: read %s: %v", what, err))
	}
}
