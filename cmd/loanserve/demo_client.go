package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"loanserve/mortgage"
)

// demoClient speaks to the API as any other client would.
type demoClient struct {
	base, token string
	http        *http.Client
}

// demoClientTimeout is longer than the longest wait the client asks for.
const demoClientTimeout = 45 * time.Second

func newDemoClient(base, token string) *demoClient {
	return &demoClient{base: base, token: token, http: &http.Client{Timeout: demoClientTimeout}}
}

// demoLoan is what the demo shows of a loan.
type demoLoan struct {
	LoanID         int64          `json:"loan_id"`
	Status         string         `json:"status"`
	PrincipalCents mortgage.Cents `json:"principal_cents"`
	SuspenseCents  mortgage.Cents `json:"suspense_cents"`
	NextDueOn      mortgage.Date  `json:"next_due_on"`
}

// demoPayment is what the demo shows of a payment.
type demoPayment struct {
	PaymentID   string         `json:"payment_id"`
	Status      string         `json:"status"`
	Reason      string         `json:"reason"`
	AmountCents mortgage.Cents `json:"amount_cents"`
	ReceivedOn  mortgage.Date  `json:"received_on"`
	Split       demoSplit      `json:"split"`
}

type demoSplit struct {
	InterestCents         mortgage.Cents  `json:"interest_cents"`
	PrincipalCents        mortgage.Cents  `json:"principal_cents"`
	EscrowCents           mortgage.Cents  `json:"escrow_cents"`
	LateChargeCents       mortgage.Cents  `json:"late_charge_cents"`
	SuspenseCents         mortgage.Cents  `json:"suspense_cents"`
	InstallmentsSatisfied []mortgage.Date `json:"installments_satisfied"`
	Parts                 []demoPart      `json:"parts"`
}

type demoPart struct {
	Kind           mortgage.Kind  `json:"kind"`
	PrincipalCents mortgage.Cents `json:"principal_cents"`
}

// board boards a loan and returns its id, and whether it had been boarded by
// the same request before.
func (c *demoClient) board(ctx context.Context, key string, body []byte) (id int64, replayed bool, err error) {
	var boarded demoLoan
	header, err := c.call(ctx, http.MethodPost, "/v1/loans", http.Header{"Idempotency-Key": {quote(key)}}, body, &boarded)
	return boarded.LoanID, header.Get("Idempotent-Replayed") == "true", err
}

func (c *demoClient) loan(ctx context.Context, id int64) (demoLoan, error) {
	var l demoLoan
	_, err := c.call(ctx, http.MethodGet, loanPath(id), nil, nil, &l)
	return l, err
}

// pay submits a payment and returns it once it is posted or rejected.
func (c *demoClient) pay(ctx context.Context, loan int64, key string, body []byte) (demoPayment, error) {
	var p demoPayment
	header := http.Header{"Idempotency-Key": {quote(key)}}
	if _, err := c.call(ctx, http.MethodPost, loanPath(loan)+"/payments", header, body, &p); err != nil {
		return p, err
	}
	const waits = 4 // of up to 30 s each
	for range waits {
		_, err := c.call(ctx, http.MethodGet, "/v1/payments/"+p.PaymentID, http.Header{"Prefer": {"wait=30"}}, nil, &p)
		if err != nil || p.Status != "received" {
			return p, err
		}
	}
	return p, fmt.Errorf("payment %s was not posted within two minutes", p.PaymentID)
}

func loanPath(id int64) string { return "/v1/loans/" + strconv.FormatInt(id, 10) }

// quote makes a string of RFC 9651. Keys of the demo need no escapes.
func quote(key string) string { return `"` + key + `"` }

// call sends one request and decodes its answer. An answer that is not one of
// success is an error that says what the API said.
func (c *demoClient) call(
	ctx context.Context, method, path string, header http.Header, body []byte, into any,
) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err // Says method and URL already.
	}
	defer func() { _ = res.Body.Close() }()
	const largest = 1 << 20
	text, err := io.ReadAll(io.LimitReader(res.Body, largest))
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	if res.StatusCode/100 != 2 {
		return res.Header, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, bytes.TrimSpace(text))
	}
	if err := json.Unmarshal(text, into); err != nil {
		return res.Header, fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	return res.Header, nil
}
