package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
	"loanserve/server"
)

// Two hundred requests of every sort go together in one transaction, and each
// gets the answer that it would get alone.
func TestPaymentsAreStoredTogether(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := payTo(t, l)
	for i := range 10 {
		answer(t, l.call(http.MethodPost, path, withRef(fmt.Sprint("early-", i)), "Idempotency-Key",
			fmt.Sprint("early-", i)), http.StatusAccepted)
	}
	c := gatherCrowd(t, l)
	var good, unknown, replayed, reused, duplicate, gone []*sent
	var sameRef, sameKey, otherUnderKey [][2]*sent
	for i := range 90 {
		good = append(good, c.send(t, path, withRef(fmt.Sprint("good-", i)), fmt.Sprint("good-", i)))
	}
	for i := range 10 {
		early := fmt.Sprint("early-", i)
		unknown = append(unknown, c.send(t, "/v1/loans/999/payments", paymentBody, fmt.Sprint("unknown-", i)))
		replayed = append(replayed, c.send(t, path, withRef(early), early))
		reused = append(reused, c.send(t, path, otherBody, early))
		duplicate = append(duplicate, c.send(t, path, withRef(early), "duplicate-"+early))
		gone = append(gone, c.send(t, path, paymentBody, fmt.Sprint("gone-", i)))
		sameRef = append(sameRef, [2]*sent{
			c.send(t, path, withRef(fmt.Sprint("ref-", i)), fmt.Sprint("ref-a-", i)),
			c.send(t, path, withRef(fmt.Sprint("ref-", i)), fmt.Sprint("ref-b-", i)),
		})
		same := withRef(fmt.Sprint("same-", i))
		sameKey = append(sameKey, [2]*sent{
			c.send(t, path, same, fmt.Sprint("same-", i)), c.send(t, path, same, fmt.Sprint("same-", i)),
		})
		otherUnderKey = append(otherUnderKey, [2]*sent{
			c.send(t, path, paymentBody, fmt.Sprint("other-", i)), c.send(t, path, otherBody, fmt.Sprint("other-", i)),
		})
	}
	c.untilGathered(t)
	require.Equal(t, 200, c.sent)
	for _, s := range gone {
		s.hangUp()
	}
	c.answered(t)

	for _, s := range good {
		got := answer(t, s.ResponseRecorder, http.StatusAccepted)
		require.Empty(t, s.Header().Get("Idempotent-Replayed"))
		require.Equal(t, "/v1/payments/"+got["payment_id"].(string), s.Header().Get("Location"))
	}
	for i := range 10 {
		refused(t, unknown[i].ResponseRecorder, 404, "not-found")
		refused(t, reused[i].ResponseRecorder, 422, "key-reused")
		require.Equal(t, []string{"/external_ref"}, refused(t, duplicate[i].ResponseRecorder, 409, "conflict"))
		require.NotEqual(t, http.StatusAccepted, gone[i].Code)
		require.Equal(t, http.StatusAccepted, replayed[i].Code)
		require.Equal(t, "true", replayed[i].Header().Get("Idempotent-Replayed"))

		_, second := oneOf(t, sameRef[i])
		require.Equal(t, []string{"/external_ref"}, refused(t, second.ResponseRecorder, 409, "conflict"))
		first, second := oneOf(t, sameKey[i])
		require.Equal(t, "true", second.Header().Get("Idempotent-Replayed"))
		require.Equal(t, first.Body.String(), second.Body.String())
		require.Equal(t, first.Header().Get("Location"), second.Header().Get("Location"))
		_, second = oneOf(t, otherUnderKey[i])
		refused(t, second.ResponseRecorder, 422, "key-reused")
	}
	const stored = 90 + 10 + 10 + 10 // good, and one of each pair
	require.Equal(t, 10+server.IntakeFlushers+stored, l.count(t, countPayments))
	require.Equal(t, 1, l.count(t, countChunks))
	require.Equal(t, stored, l.count(t, `SELECT jsonb_array_length(args->'payment_ids') FROM river.river_job
		WHERE kind = 'post_payment_chunk'`))
	l.requireOneJobEach(t)

	l.work(t)
	require.Eventually(t, func() bool {
		return l.count(t, `SELECT count(*) FROM payments WHERE status <> 'posted'`) == 0
	}, patience, 5*time.Millisecond)
}

// Without any order in which they come, the same is true.
func TestPaymentsOfEverySortAtOnce(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	path := payTo(t, l)
	answers := make([]*httptest.ResponseRecorder, 600)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			n := i / 6 // six requests about one matter
			body, key, path := withRef(fmt.Sprint("ref-", n)), fmt.Sprint("key-", n), path
			switch i % 6 {
			case 2: // the reference under another key
				key = fmt.Sprint("other-", n)
			case 3:
				path = "/v1/loans/999/payments"
				key = fmt.Sprint("unknown-", n)
			case 4: // a matter of its own
				body, key = paymentBody, fmt.Sprint("own-", n)
			case 5: // another request under that key
				body, key = otherBody, fmt.Sprint("own-", n)
			}
			answers[i] = l.call(http.MethodPost, path, body, "Idempotency-Key", key)
		})
	}
	all.Wait()
	for n := range len(answers) / 6 {
		var codes [6]int
		for i := range codes {
			codes[i] = answers[6*n+i].Code
		}
		require.Contains(t, [][3]int{{202, 202, 409}, {409, 409, 202}}, [3]int(codes[:3]), n)
		require.Equal(t, 404, codes[3])
		slices.Sort(codes[4:])
		require.Equal(t, []int{202, 422}, codes[4:])
		if codes[0] == 202 {
			require.Equal(t, answers[6*n].Body.String(), answers[6*n+1].Body.String())
		}
	}
	require.Equal(t, 2*len(answers)/6, l.count(t, countPayments))
	l.requireOneJobEach(t)
}

// Where somebody else stores one of the references at the same moment, the
// transaction waits for him and goes on without that one.
func TestOneDuplicateFailsNobodyElse(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	c := gatherCrowd(t, l)
	taker, err := l.db.Super.Begin(t.Context())
	require.NoError(t, err)
	ref := "LBX-1"
	testdb.Payment(t, taker, c.loan, func(p *queries.InsertPaymentParams) { p.ExternalRef = &ref })
	duplicate := c.send(t, c.path(), withRef(ref), "duplicate")
	var good []*sent
	for i := range 20 {
		good = append(good, c.send(t, c.path(), withRef(fmt.Sprint("good-", i)), fmt.Sprint("good-", i)))
	}
	c.untilGathered(t)
	c.releases[0]()
	untilWaiting(t, server.IntakeOf(l.Server), 0)
	l.untilBlocked(t, server.IntakeFlushers) // the other plug, and the crowd
	require.NoError(t, taker.Commit(t.Context()))
	c.answered(t)

	require.Equal(t, []string{"/external_ref"}, refused(t, duplicate.ResponseRecorder, 409, "conflict"))
	for _, s := range good {
		answer(t, s.ResponseRecorder, http.StatusAccepted)
	}
	require.Equal(t, 1+server.IntakeFlushers+len(good), l.count(t, countPayments))
	require.Equal(t, server.IntakeFlushers+1, l.count(t, countJobs))
	require.Equal(t, 1, l.count(t, countChunks))
}

// Nobody of a transaction that cannot be committed is told that it was.
func TestCommitThatFails(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	_, err := l.db.Super.Exec(t.Context(), `
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = '53100'; END $$;
CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON payments DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.idempotency_key = 'good-7') EXECUTE FUNCTION fail()`)
	require.NoError(t, err)
	c := gatherCrowd(t, l)
	crowd := make([]*sent, 20)
	for i := range crowd {
		crowd[i] = c.send(t, c.path(), paymentBody, fmt.Sprint("good-", i))
	}
	c.untilGathered(t)
	c.answered(t)
	for _, s := range crowd {
		refused(t, s.ResponseRecorder, 503, "unavailable")
		require.NotEmpty(t, s.Header().Get("Retry-After"))
	}
	require.Equal(t, server.IntakeFlushers, l.count(t, countPayments), "the plugs alone")
	require.Equal(t, server.IntakeFlushers, l.count(t, countJobs))

	l.db.SwitchOffDDLGuards(t)
	_, err = l.db.Super.Exec(t.Context(), `DROP TRIGGER fail ON payments`)
	require.NoError(t, err)
	for i := range crowd {
		again := l.call(http.MethodPost, c.path(), paymentBody, "Idempotency-Key", fmt.Sprint("good-", i))
		answer(t, again, http.StatusAccepted)
		require.Empty(t, again.Header().Get("Idempotent-Replayed"))
	}
}

// A client that hangs up while its payment is being stored takes nobody's
// payment with it, and not its own either.
func TestHangingUpHarmsNobody(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	c := gatherCrowd(t, l)
	held := l.hold(t, c.loan, "good-0")
	crowd := make([]*sent, 20)
	for i := range crowd {
		crowd[i] = c.send(t, c.path(), paymentBody, fmt.Sprint("good-", i))
	}
	c.untilGathered(t)
	c.releases[0]()
	untilWaiting(t, server.IntakeOf(l.Server), 0)
	l.untilBlocked(t, server.IntakeFlushers) // the other plug, and the crowd
	crowd[5].hangUp()
	require.Eventually(t, func() bool {
		return strings.Contains(l.log.String(), `"status":499`)
	}, patience, time.Millisecond)
	held()
	c.answered(t)

	for i, s := range crowd {
		if i != 5 {
			answer(t, s.ResponseRecorder, http.StatusAccepted)
		}
	}
	again := l.call(http.MethodPost, c.path(), paymentBody, "Idempotency-Key", "good-5")
	answer(t, again, http.StatusAccepted)
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	require.Equal(t, server.IntakeFlushers+len(crowd), l.count(t, countPayments))
	require.Equal(t, 1, l.count(t, countChunks))
}

// The order of keys keeps two sets with the same keys from waiting for each other
// in a circle.
func TestSetsDoNotDeadlock(t *testing.T) {
	t.Parallel()

	l := setupLive(t)
	loan := testdb.Loan(t, l.db.App)
	insert := func(keys []string) error {
		return pgx.BeginFunc(t.Context(), l.db.App, func(tx pgx.Tx) error {
			set := make([]queries.InsertPaymentParams, len(keys))
			for i, key := range keys {
				set[i] = sampleParams(loan, key)
			}
			_, err := queries.New(tx).InsertPayments(t.Context(), server.ColumnsOf(set))
			return err
		})
	}
	keys := []string{"key-1", "key-2", "key-3"}
	backward := []string{"key-3", "key-2", "key-1"}
	middle, err := l.db.Super.Begin(t.Context())
	require.NoError(t, err)
	_, err = queries.New(middle).InsertPayment(t.Context(), sampleParams(loan, "key-2"))
	require.NoError(t, err)

	errs := make(chan error)
	for n, order := range [][]string{keys, backward} {
		go func() { errs <- insert(order) }()
		l.untilBlocked(t, n+1)
	}
	require.NoError(t, middle.Rollback(t.Context()))
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	require.Equal(t, len(keys), l.count(t, countPayments))
}
