package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/internal/webhook"
	"loanserve/internal/webhook/receiver"
)

// testWebhookCrash kills the worker between sending a message and recording that it has
// arrived, and then again and again while it posts payments and tells of them. Every
// payment is told, once or more often, under one webhook-id and in the same bytes.
func testWebhookCrash(t *testing.T, p *program) {
	t.Helper()
	const payments, loans, kills = 300, 20, 5
	const inside = "127.0.0.0/8"
	p.makeToken("loans:write", "payments:write", "webhooks:write")
	serve := p.start("serve", "--workers", "0", "--webhook-allow", inside)
	arrived, release := make(chan struct{}, payments), make(chan struct{})
	to := receiver.New(t, receiver.Answer{Status: http.StatusNoContent, Before: func() {
		arrived <- struct{}{}
		<-release
	}})
	made := p.mustRequest(serve, http.StatusCreated, http.MethodPost, "/v1/webhook-subscriptions",
		fmt.Sprintf(`{"url":%q,"event_types":["payment.posted"]}`, to.URL), "Idempotency-Key", "hook")
	secret, err := webhook.ParseSecret(made.field(t, "secret"))
	require.NoError(t, err)
	paths := make([]string, loans)
	for i := range paths {
		paths[i] = p.board(serve, fmt.Sprintf("HOOK-%d", i)) + "/payments"
	}
	pay := func(i int) {
		p.mustRequest(serve, http.StatusAccepted, http.MethodPost, paths[i%loans], paymentOf(100_00+i, "2026-01-05"),
			"Idempotency-Key", fmt.Sprint("hook-", i))
	}

	worker := p.start("work", "--webhook-allow", inside)
	pay(0)
	select {
	case <-arrived:
	case <-time.After(patience):
		require.FailNow(t, "no message has arrived")
	}
	worker.signal(syscall.SIGKILL)
	close(release)
	to.Then(receiver.Answer{Status: http.StatusNoContent, Before: nil})
	require.Equal(t, 1, p.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'waiting' AND attempts = 0`))
	worker = p.start("work", "--webhook-allow", inside)
	require.Eventually(t, func() bool { return p.undelivered() == 0 }, patience, 10*time.Millisecond)
	worker.signal(syscall.SIGKILL)
	require.Len(t, to.Messages(), 2, "the killed worker's, and the one that was recorded")

	for i := range payments - 1 {
		pay(i + 1)
	}
	random := rand.New(rand.NewPCG(20260106, kills))
	for kill := range kills {
		worker := p.start("work", "--webhook-allow", inside)
		goal := len(to.Messages()) + 1 + random.IntN(payments/kills)
		for len(to.Messages()) < goal && p.waiting()+p.undelivered() > 0 {
			time.Sleep(time.Millisecond)
		}
		worker.signal(syscall.SIGKILL)
		t.Logf("kill %d: %d messages have arrived, %d wait", kill+1, len(to.Messages()), p.undelivered())
	}
	p.start("work", "--webhook-allow", inside)
	done := func() bool { return p.waiting() == 0 && p.undelivered() == 0 && p.unfinishedJobs() == 0 }
	require.Eventually(t, done, patience, 50*time.Millisecond, "every payment is told, and every job done")
	const delivered = `SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered' AND attempts = 1`
	require.Equal(t, payments, p.count(delivered))
	require.Equal(t, payments, p.posted())

	byID, byPayment := map[string]receiver.Message{}, map[any]string{}
	for _, m := range to.Messages() {
		if first, again := byID[m.ID]; again {
			require.Equal(t, string(first.Raw), string(m.Raw))
		}
		require.Equal(t, webhook.Sign([][]byte{secret}, m.ID, m.At, m.Raw), m.Signature)
		byID[m.ID], byPayment[m.Data["payment_id"]] = m, m.ID
	}
	require.Len(t, byID, payments, "a message for each payment")
	require.Len(t, byPayment, payments)
	t.Logf("%d messages have arrived for %d payments", len(to.Messages()), payments)
	p.requireSoundBooks()
}

func (p *program) undelivered() int {
	return p.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'waiting'`)
}
