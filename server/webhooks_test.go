package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/internal/webhook"
	"loanserve/jobs"
	"loanserve/server"
)

func insideLoopback(o *server.Options) {
	o.WebhookNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// signedHook takes messages and says by which of the secrets each was signed.
func signedHook(t *testing.T) (url string, bodies <-chan map[string]any, signatures <-chan string) {
	t.Helper()
	got, signed := make(chan map[string]any, 100), make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var body map[string]any
		if err != nil || json.Unmarshal(raw, &body) != nil {
			t.Error("a body that cannot be read")
		}
		body["raw"], body["id"] = string(raw), r.Header.Get("Webhook-Id")
		body["at"] = r.Header.Get("Webhook-Timestamp")
		got <- body
		signed <- r.Header.Get("Webhook-Signature")
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s.URL, got, signed
}

func signedBy(t *testing.T, body map[string]any, secrets ...string) string {
	t.Helper()
	keys := make([][]byte, len(secrets))
	for i, secret := range secrets {
		var err error
		keys[i], err = webhook.ParseSecret(secret)
		require.NoError(t, err)
	}
	at, err := strconv.ParseInt(body["at"].(string), 10, 64)
	require.NoError(t, err)
	return webhook.Sign(keys, body["id"].(string), time.Unix(at, 0), []byte(body["raw"].(string)))
}

const hooksPath = "/v1/webhook-subscriptions"

// A subscription from its making to its end, with a worker that sends.
func TestWebhooksOverHTTP(t *testing.T) {
	t.Parallel()
	l := setupLive(t, insideLoopback)
	url, bodies, signatures := signedHook(t)
	body := `{"url":"` + url + `","event_types":["payment.posted","payment.posted"],"description":"ledger"}`
	w := l.call(http.MethodPost, hooksPath, body, "Idempotency-Key", "a")
	made := answer(t, w, http.StatusCreated)
	secret := made["secret"].(string)
	require.True(t, strings.HasPrefix(secret, "whsec_"))
	require.Equal(t, []any{"payment.posted"}, made["event_types"])
	at := w.Header().Get("Location")
	require.Equal(t, hooksPath+"/"+made["subscription_id"].(string), at)

	w = l.call(http.MethodPost, hooksPath, body, "Idempotency-Key", "a")
	require.Equal(t, "true", w.Header().Get("Idempotent-Replayed"))
	require.NotContains(t, answer(t, w, http.StatusCreated), "secret")
	delete(made, "secret")
	require.Equal(t, made, answer(t, l.call(http.MethodGet, at, ""), 200))
	require.Equal(t, []any{made}, answer(t, l.call(http.MethodGet, hooksPath, ""), 200)["data"])
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM auth_events WHERE kind = 'webhook_subscription_created'`))
	require.Zero(t, l.count(t, `SELECT count(*) FROM auth_events WHERE details::text LIKE '%whsec_%'`))

	l.workHooks(t)
	tested := answer(t, l.call(http.MethodPost, at+"/test", "", "Idempotency-Key", "t"), 202)
	require.Equal(t, "webhook.test", tested["type"])
	sent := <-bodies
	require.Equal(t, signedBy(t, sent, secret), <-signatures)
	require.Equal(t, tested["message_id"], sent["id"])
	require.Equal(t, tested, answer(t, l.call(http.MethodPost, at+"/test", "", "Idempotency-Key", "t"), 202))

	fresh := answer(t, l.call(http.MethodPost, at+"/secret", "", "Idempotency-Key", "r"), 200)["secret"].(string)
	require.NotEqual(t, secret, fresh)
	payment := testdb.Payment(t, l.db.App, testdb.Loan(t, l.db.App))
	_, err := l.inserter(t, discard()).Insert(t.Context(), jobs.PostPaymentArgs{PaymentID: payment.ID}, nil)
	require.NoError(t, err)
	sent = <-bodies
	require.Equal(t, payment.ID.String(), sent["data"].(map[string]any)["payment_id"], "the test was sent once")
	require.Equal(t, signedBy(t, sent, fresh, secret), <-signatures)

	var delivery map[string]any
	require.Eventually(t, func() bool {
		list := answer(t, l.call(http.MethodGet, "/v1/webhook-deliveries?status=delivered&limit=1&message_id="+
			sent["id"].(string)+"&subscription_id="+made["subscription_id"].(string), ""), 200)
		if len(list["data"].([]any)) == 0 {
			return false
		}
		delivery = list["data"].([]any)[0].(map[string]any)
		return true
	}, 30*time.Second, 20*time.Millisecond)
	one := "/v1/webhook-deliveries/" + strconv.Itoa(int(delivery["delivery_id"].(float64)))
	require.Equal(t, delivery, answer(t, l.call(http.MethodGet, one, ""), 200))
	messages := answer(t, l.call(http.MethodGet, "/v1/webhook-messages?limit=1", ""), 200)
	require.Equal(t, sent["data"], messages["data"].([]any)[0].(map[string]any)["data"])
	messages = answer(t, l.call(http.MethodGet, "/v1/webhook-messages?type=webhook.test&limit=1", ""), 200)
	require.Equal(t, tested, messages["data"].([]any)[0])

	again := answer(t, l.call(http.MethodPost, one+"/replay", "", "Idempotency-Key", "1"), 202)
	require.InDelta(t, 1, again["replays"], 0)
	require.Equal(t, sent["raw"], (<-bodies)["raw"])
	<-signatures

	const since = `{"since":"2020-01-01T00:00:00Z"`
	none := answer(t, l.call(http.MethodPost, at+"/replay", since+`}`, "Idempotency-Key", "2"), 202)
	require.Equal(t, map[string]any{"replayed": 0.0}, none)
	require.Eventually(t, func() bool {
		return l.count(t, `SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`) == 2
	}, 30*time.Second, 20*time.Millisecond)
	all := answer(t, l.call(http.MethodPost, at+"/replay", since+`,"all":true}`, "Idempotency-Key", "3"), 202)
	require.InDelta(t, 2, all["replayed"], 0)
	ids := []any{(<-bodies)["id"], (<-bodies)["id"]}
	require.ElementsMatch(t, []any{tested["message_id"], sent["id"]}, ids)

	changed := answer(t, l.call(http.MethodPatch, at, `{"event_types":["payment.reversed"],"status":"disabled"}`), 200)
	require.Equal(t, []any{"disabled", "requested"}, []any{changed["status"], changed["disabled_reason"]})
	require.Equal(t, url, changed["url"])
	refused(t, l.call(http.MethodPost, at+"/test", "", "Idempotency-Key", "u"), 409, "conflict")
	refused(t, l.call(http.MethodPost, at+"/replay", since+`}`, "Idempotency-Key", "4"), 409, "conflict")
	refused(t, l.call(http.MethodPost, one+"/replay", "", "Idempotency-Key", "5"), 409, "conflict")
	changed = answer(t, l.call(http.MethodPatch, at, `{"status":"active"}`), 200)
	require.NotContains(t, changed, "disabled_at")

	require.Equal(t, http.StatusNoContent, l.call(http.MethodDelete, at, "").Code)
	refused(t, l.call(http.MethodDelete, at, ""), 404, "not-found")
	refused(t, l.call(http.MethodGet, at, ""), 404, "not-found")
	refused(t, l.call(http.MethodPost, hooksPath, body, "Idempotency-Key", "a"), 404, "not-found")
	require.Zero(t, l.count(t, `SELECT count(*) FROM webhook_secrets`))
	require.Empty(t, answer(t, l.call(http.MethodGet, hooksPath, ""), 200)["data"])
}

func TestWebhooksRefuse(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	body := func(url, kind string) string { return `{"url":"` + url + `","event_types":["` + kind + `"]}` }
	for _, url := range []string{"http://example.com/", "https://10.0.0.1/", "https://u:p@example.com/", "file:///x"} {
		w := l.call(http.MethodPost, hooksPath, body(url, "payment.posted"), "Idempotency-Key", url[:6])
		require.Equal(t, []string{"/url"}, refused(t, w, 422, "invalid"), url)
	}
	w := l.call(http.MethodPost, hooksPath, body("https://example.com/", "loan.lost"), "Idempotency-Key", "b")
	require.Equal(t, []string{"/event_types/0"}, refused(t, w, 422, "invalid"))
	good := body("https://example.com/", "payment.posted")
	refused(t, l.call(http.MethodPost, hooksPath, good), 400, "key-missing")
	made := answer(t, l.call(http.MethodPost, hooksPath, good, "Idempotency-Key", "c"), 201)
	at := hooksPath + "/" + made["subscription_id"].(string)
	w = l.call(http.MethodPost, hooksPath, body("https://example.com/x", "payment.posted"), "Idempotency-Key", "c")
	refused(t, w, 422, "key-reused")
	w = l.call(http.MethodPatch, at, `{"url":"https://127.0.0.1/"}`)
	require.Equal(t, []string{"/url"}, refused(t, w, 422, "invalid"))
	gone := hooksPath + "/" + uuid.NewString()
	refused(t, l.call(http.MethodPatch, gone, `{"status":"active"}`), 404, "not-found")
	refused(t, l.call(http.MethodPost, gone+"/secret", "", "Idempotency-Key", "f"), 404, "not-found")
	refused(t, l.call(http.MethodPost, gone+"/test", "", "Idempotency-Key", "d"), 404, "not-found")
	refused(t, l.call(http.MethodGet, "/v1/webhook-deliveries/1", ""), 404, "not-found")
	refused(t, l.call(http.MethodPost, "/v1/webhook-deliveries/1/replay", "", "Idempotency-Key", "g"), 404, "not-found")

	l.super(t, `INSERT INTO webhook_subscriptions
		(id, url, event_types, description, requested_by, idempotency_key, request_hash)
		SELECT gen_random_uuid(), 'https://example.com/', '{payment.posted}', '', 'x', n::text, sha256('')
		FROM generate_series(1, 49) n`)
	refused(t, l.call(http.MethodPost, hooksPath, good, "Idempotency-Key", "e"), 409, "conflict")

	l.token = l.newToken(t, server.ScopeWebhooksRead)
	answer(t, l.call(http.MethodGet, at, ""), 200)
	refused(t, l.call(http.MethodDelete, at, ""), 403, "forbidden")
	refused(t, l.call(http.MethodPost, at+"/secret", "", "Idempotency-Key", "h"), 403, "forbidden")
	l.token = l.newToken(t, server.ScopeRunsRead)
	refused(t, l.call(http.MethodGet, "/v1/webhook-messages", ""), 403, "forbidden")
}

// What starts work or makes a secret is done once for each key, whatever has become of
// the subscription since.
func TestWebhookRequestsAreDoneOnce(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	hook, _ := testdb.WebhookSubscription(t, l.db.App, "https://example.com/", jobs.EventPaymentPosted)
	l.super(t, `WITH told AS (
			INSERT INTO webhook_messages (id, type, source, occurred_at, data)
			SELECT gen_random_uuid(), 'payment.posted', n::text,
				timestamptz '2026-03-01 00:00:00Z' + make_interval(secs => n), '{}'
			FROM generate_series(1, 3) n RETURNING id, occurred_at
		)
		INSERT INTO webhook_deliveries (message_id, subscription_id, status, created_at, next_attempt_at)
		SELECT id, $1, 'failed', occurred_at, NULL FROM told`, hook.ID)
	var one int64
	require.NoError(t, l.db.Super.QueryRow(t.Context(), `SELECT min(id) FROM webhook_deliveries`).Scan(&one))
	at := hooksPath + "/" + hook.ID.String()
	delivery := "/v1/webhook-deliveries/" + strconv.FormatInt(one, 10) + "/replay"
	enqueued := func() int { return l.count(t, `SELECT count(*) FROM river.river_job WHERE kind = 'deliver_webhook'`) }
	secrets := func() int { return l.count(t, `SELECT count(*) FROM webhook_secrets`) }
	const since = `{"since":"2026-03-01T00:00:00Z"}`
	call := func(path, body, key string, code int) (map[string]any, string) {
		w := l.call(http.MethodPost, path, body, "Idempotency-Key", key)
		return answer(t, w, code), w.Header().Get("Idempotent-Replayed")
	}

	made, replayed := call(at+"/secret", "", "a", 200)
	require.Contains(t, made, "secret")
	require.Empty(t, replayed)
	delete(made, "secret")
	again, replayed := call(at+"/secret", "", "a", 200)
	require.Equal(t, "true", replayed)
	require.Equal(t, made, again, "the secret is not shown again")
	require.Equal(t, 2, secrets())
	require.Equal(t, 1, l.count(t, `SELECT count(*) FROM auth_events WHERE kind = 'webhook_secret_rotated'`))

	first, _ := call(delivery, "", "b", 202)
	require.InDelta(t, 1, first["replays"], 0)
	again, replayed = call(delivery, "", "b", 202)
	require.Equal(t, "true", replayed)
	require.Equal(t, first, again)
	require.Equal(t, 1, enqueued())

	first, _ = call(at+"/replay", since, "c", 202)
	require.Equal(t, map[string]any{"replayed": 2.0, "last_at": "2026-03-01T00:00:03Z"}, first)
	require.Equal(t, 3, enqueued())
	const later = `{"since":"2026-03-02T00:00:00Z"}`
	refused(t, l.call(http.MethodPost, at+"/replay", later, "Idempotency-Key", "c"), 422, "key-reused")
	refused(t, l.call(http.MethodPost, delivery, "", "Idempotency-Key", "c"), 422, "key-reused")
	refused(t, l.call(http.MethodPost, at+"/secret", "", "Idempotency-Key", "c"), 422, "key-reused")
	refused(t, l.call(http.MethodPost, at+"/replay", since), 400, "key-missing")
	refused(t, l.call(http.MethodPost, delivery, ""), 400, "key-missing")
	refused(t, l.call(http.MethodPost, at+"/secret", ""), 400, "key-missing")

	tested, replayed := call(at+"/test", "", "e", 202)
	require.Empty(t, replayed)
	again, replayed = call(at+"/test", "", "e", 202)
	require.Equal(t, "true", replayed)
	require.Equal(t, tested, again)
	require.Equal(t, 4, enqueued())
	refused(t, l.call(http.MethodPost, at+"/test", "", "Idempotency-Key", "c"), 422, "key-reused")
	l.super(t, `DELETE FROM webhook_deliveries WHERE message_id = $1`, tested["message_id"])
	l.super(t, `DELETE FROM webhook_messages WHERE id = $1`, tested["message_id"])
	refused(t, l.call(http.MethodPost, at+"/test", "", "Idempotency-Key", "e"), 404, "not-found")
	require.Equal(t, 4, enqueued(), "what was pruned is not sent anew")

	answer(t, l.call(http.MethodPatch, at, `{"status":"disabled"}`), 200)
	again, replayed = call(at+"/replay", since, "c", 202)
	require.Equal(t, "true", replayed)
	require.Equal(t, first, again)
	require.Equal(t, 4, enqueued())
	// A request that was refused has done nothing, and may be repeated under its key.
	refused(t, l.call(http.MethodPost, at+"/replay", since, "Idempotency-Key", "d"), 409, "conflict")
	answer(t, l.call(http.MethodPatch, at, `{"status":"active"}`), 200)
	_, replayed = call(at+"/replay", since, "d", 202)
	require.Empty(t, replayed)
}

// Of requests with one key at the same moment one is done.
func TestWebhookRequestsSideBySide(t *testing.T) {
	t.Parallel()
	l := setupLive(t)
	hook, _ := testdb.WebhookSubscription(t, l.db.App, "https://example.com/", jobs.EventPaymentPosted)
	var done atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			w := l.call(http.MethodPost, hooksPath+"/"+hook.ID.String()+"/secret", "", "Idempotency-Key", "a")
			if w.Code == http.StatusOK && w.Header().Get("Idempotent-Replayed") == "" {
				done.Add(1)
			} else if w.Code != http.StatusOK {
				t.Errorf("answered %d: %s", w.Code, w.Body)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, done.Load())
	require.Equal(t, 2, l.count(t, `SELECT count(*) FROM webhook_secrets`))
}

// What the contract lets somebody subscribe to is what jobs tell of, and docs/webhooks.md
// says of each what it holds.
func TestEventTypesAreThoseOfJobs(t *testing.T) {
	t.Parallel()
	api := setupLive(t).API().OpenAPI()
	docs, err := os.ReadFile("../docs/webhooks.md")
	require.NoError(t, err)
	for _, schema := range []string{"NewWebhookSubscription", "WebhookSubscriptionChange"} {
		var enum []string
		for _, v := range api.Components.Schemas.Map()[schema].Properties["event_types"].Items.Enum {
			enum = append(enum, v.(string))
		}
		require.Equal(t, jobs.EventTypes(), enum, schema)
	}
	var listed []string
	for _, p := range api.Paths["/v1/webhook-messages"].Get.Parameters {
		if p.Name == "type" {
			for _, v := range p.Schema.Enum {
				listed = append(listed, v.(string))
			}
		}
	}
	require.Equal(t, append(jobs.EventTypes(), jobs.EventTest), listed)
	for _, kind := range listed {
		require.Contains(t, string(docs), "\n| `"+kind+"` |")
	}
}
