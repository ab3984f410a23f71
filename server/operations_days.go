package server

import (
	"context"
	"fmt"
	"time"

	"loanserve/mortgage"
	"loanserve/queries"
)

// dayOfPayments is a day's payments.
type dayOfPayments struct {
	DayOn       date              `json:"day_on"`
	Payments    int64             `json:"payments" doc:"That were stored."`
	AmountCents mortgage.Cents    `json:"amount_cents"`
	Posted      int64             `json:"posted"`
	PostedCents mortgage.Cents    `json:"posted_cents"`
	Rejected    int64             `json:"rejected"`
	Reversed    int64             `json:"reversed"`
	ByChannel   []channelPayments `json:"by_channel"`
}

// channelPayments is a day's payments of one channel.
type channelPayments struct {
	Channel     queries.PaymentChannel `json:"channel" enum:"portal,ach,lockbox,wire,check,phone,branch"`
	Payments    int64                  `json:"payments"`
	AmountCents mortgage.Cents         `json:"amount_cents"`
}

// startOf is the moment at which the day begins where the deployment is at home.
func (s *Server) startOf(on mortgage.Date) time.Time {
	year, month, day := on.Civil()
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, s.receiving.zone)
}

// countPayments counts the payments that were stored between two moments, by day.
func (s *Server) countPayments(ctx context.Context, from, to time.Time) ([]dayOfPayments, error) {
	rows, err := s.q.CountPaymentsOfDays(ctx, queries.CountPaymentsOfDaysParams{
		Zone: s.receiving.zone.String(), FromID: idFrom(from), ToID: idFrom(to),
	})
	if err != nil {
		return nil, fmt.Errorf("count payments: %w", err)
	}
	var days []dayOfPayments
	for _, row := range rows {
		if len(days) == 0 || days[len(days)-1].DayOn.Date != row.DayOn {
			days = append(days, dayOfPayments{DayOn: date{row.DayOn}, ByChannel: []channelPayments{}})
		}
		days[len(days)-1].add(row)
	}
	return days, nil
}

// add counts the payments of one channel and status; rows come by channel.
func (d *dayOfPayments) add(row queries.CountPaymentsOfDaysRow) {
	cents := mortgage.Cents(row.AmountCents)
	d.Payments += row.Payments
	d.AmountCents += cents
	switch row.Status {
	case queries.PaymentStatusPosted:
		d.Posted += row.Payments
		d.PostedCents += cents
	case queries.PaymentStatusRejected:
		d.Rejected += row.Payments
	case queries.PaymentStatusReversed:
		d.Reversed += row.Payments
	case queries.PaymentStatusReceived:
	}
	if n := len(d.ByChannel); n == 0 || d.ByChannel[n-1].Channel != row.Channel {
		d.ByChannel = append(d.ByChannel, channelPayments{Channel: row.Channel})
	}
	last := &d.ByChannel[len(d.ByChannel)-1]
	last.Payments += row.Payments
	last.AmountCents += cents
}
