package mortgage

// Scheduled returns what an analysis assumes to happen between the day of the
// account and the year: the deposits that make up ScheduledDeposits and the bills
// that make up ScheduledDisbursements, none before the day after that of the account
// and none in the year. A history may show it for the final two months.
//
// Source: 12 CFR 1024.17(i)(1).
func (a *EscrowAnalysis) Scheduled(r EscrowRequest) []EscrowActivity {
	if r.Kind == EscrowPayoff {
		return nil
	}
	start := monthNumber(r.StartOn)
	when := func(on Date) Date { return min(max(on, r.Account.On+1), firstOfMonth(start)-1) }
	var activity []EscrowActivity
	for m := max(monthNumber(r.Account.NextDueOn), start-scheduledMonths); m < start && r.Payment != 0; m++ {
		dueOn, err := firstOfMonth(m).AddMonths(0, r.DueDay)
		if err == nil {
			activity = append(activity, EscrowActivity{On: when(dueOn), Deposit: r.Payment, Assumed: true})
		}
	}
	for i := range r.Items {
		item := &r.Items[i]
		for b := range item.Bills {
			for _, on := range item.Bills[b].before(item.EveryMonths, start, &r.Policy) {
				amount, _ := item.Bills[b].Estimate(r.Policy.EstimateChange)
				activity = append(activity, EscrowActivity{
					On: when(on), Disbursement: amount, Kind: item.Kind, Payee: item.Payee, Assumed: true,
				})
			}
		}
	}
	return activity
}

// before returns the days on which the bill is planned to be paid before the month
// that begins the year.
func (b *EscrowBill) before(everyMonths, start int, p *EscrowPolicy) []Date {
	var days []Date
	planned := b.Deadline() - Date(p.LeadDays)
	_, _, dueDay := b.DueOn.Civil()
	_, _, payDay := planned.Civil()
	early := b.early(everyMonths, start, planned)
	for k := 0; monthNumber(planned)+k*everyMonths-early < start; k++ {
		dueOn, _ := b.DueOn.AddMonths(k*everyMonths, dueDay) // Its bounds keep it on the calendar.
		if b.EndsOn != 0 && dueOn > b.EndsOn {
			break
		}
		payOn, _ := planned.AddMonths(k*everyMonths, payDay)
		days = append(days, payOn)
	}
	return days
}
