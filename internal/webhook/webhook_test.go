package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the libraries of Standard Webhooks test themselves with.
func TestSignature(t *testing.T) {
	t.Parallel()
	secret, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	const id, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	at := time.Unix(1614265330, 0)
	require.Equal(t, want, Sign([][]byte{secret}, id, at, []byte(body)))

	other := NewSecret()
	both := Sign([][]byte{other, secret}, id, at, []byte(body))
	require.Equal(t, Sign([][]byte{other}, id, at, []byte(body))+" "+want, both)

	require.Equal(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", FormatSecret(secret))
	for _, bad := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_!"} {
		_, err := ParseSecret(bad)
		require.Error(t, err, bad)
	}
	again, err := ParseSecret(FormatSecret(other))
	require.NoError(t, err)
	require.Equal(t, other, again)
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7",
		"203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
		"::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
		"2001::1", "2001:db8::1", "100::1", "fec0::1", "::127.0.0.1", "3fff::1", "5f00::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
	} {
		require.ErrorIs(t, controlled(guard{public: true}, address), ErrAddress, address)
	}
	for _, address := range []string{
		"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8",
	} {
		require.NoError(t, controlled(guard{public: true}, address), address)
		require.ErrorIs(t, controlled(guard{public: false}, address), ErrAddress, address)
	}
	allow := []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24")}
	for _, public := range []bool{true, false} {
		require.NoError(t, controlled(guard{allow: allow, public: public}, "10.1.2.3"))
		require.NoError(t, controlled(guard{allow: allow, public: public}, "::ffff:10.1.2.3"))
		require.ErrorIs(t, controlled(guard{allow: allow, public: public}, "10.1.3.3"), ErrAddress)
	}
	g := guard{allow: []netip.Prefix{netip.MustParsePrefix("::/0")}, public: true}
	require.ErrorIs(t, g.control("tcp6", "[fe80::1%eth0]:443", nil), ErrAddress)
	require.ErrorIs(t, g.control("unix", "/run/docker.sock", nil), ErrAddress)
}

func controlled(g guard, address string) error {
	return g.control("tcp6", netip.AddrPortFrom(netip.MustParseAddr(address), 443).String(), nil)
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, tt := range []struct {
		url   string
		allow []netip.Prefix
		good  bool
	}{
		{"https://example.com/hooks?a=b", nil, true},
		{"https://localhost/", nil, true}, // Refused when it is dialed.
		{"http://example.com/", nil, false},
		{"http://inside.example/", loopback, true}, // Refused when it is dialed, unless it is inside.
		{"https://127.0.0.1/", nil, false},
		{"https://127.0.0.1:8443/", loopback, true},
		{"http://8.8.8.8/", loopback, false},
		{"https://[::1]/", nil, false},
		{"https://[::ffff:169.254.169.254]/", nil, false},
		{"https://user:secret@example.com/", nil, false},
		{"https://example.com/#part", nil, false},
		{"https://", nil, false},
		{"https://:443/", nil, false},
		{"ftp://example.com/", nil, false},
		{"mailto:a@example.com", nil, false},
		{"/hooks", nil, false},
		{"https://exa mple.com/", nil, false},
	} {
		require.Equal(t, tt.good, CheckURL(tt.url, tt.allow) == "", tt.url)
	}
}

func send(c *Client, url string) Result {
	return c.Send(context.Background(), url, Message{
		ID: "msg_1", Body: []byte(`{"a":1}`), Secrets: [][]byte{make([]byte, minSecret)},
	}, time.Unix(1614265330, 0))
}

func TestSend(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	receiver := http.NewServeMux()
	receiver.HandleFunc("POST /good", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"a":1}` || r.Header.Get("Webhook-Id") != "msg_1" ||
			r.Header.Get("Webhook-Timestamp") != "1614265330" ||
			!verify(make([]byte, minSecret), r.Header, body) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	receiver.Handle("/moved", http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	receiver.HandleFunc("/gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	receiver.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", r.URL.Query().Get("after"))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	receiver.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	plain := httptest.NewServer(receiver)
	t.Cleanup(plain.Close)
	secured := httptest.NewTLSServer(receiver)
	t.Cleanup(secured.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secured.Certificate())
	allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	c := newClient(allow, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	t.Cleanup(c.Close)

	for _, base := range []string{plain.URL, secured.URL} {
		require.Equal(t, Result{Delivered: true, StatusCode: 204}, send(c, base+"/good"))
		moved := send(c, base+"/moved")
		require.Equal(t, Result{StatusCode: 307, Failure: "the answer is a redirect, and none is followed"}, moved)
		require.Equal(t, Result{Gone: true, StatusCode: 410, Failure: "the receiver is gone"}, send(c, base+"/gone"))
		require.Equal(t, 90*time.Second, send(c, base+"/busy?after=90").RetryAfter)
		require.Equal(t, maxRetryAfter, send(c, base+"/busy?after=999999").RetryAfter)
		require.Zero(t, send(c, base+"/busy?after=-5").RetryAfter)
		require.True(t, send(c, base+"/endless").Delivered, "no more of an answer is read than a little")
	}
	require.Equal(t, "the certificate is not valid", send(NewClient(allow), secured.URL+"/good").Failure)

	// Nobody has allowed it: the name resolves, and what it resolves to is refused.
	for _, url := range []string{plain.URL, secured.URL, "https://localhost:1/", "http://8.8.8.8/"} {
		require.Equal(t, Result{Failure: "the address is not a public one"}, send(NewClient(nil), url), url)
	}
	require.Equal(t, "the connection failed", send(c, "http://127.0.0.1:1/").Failure)
	require.Equal(t, "the name cannot be resolved", send(c, "https://nowhere.invalid/").Failure)
}

func TestSendKnowsNoProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a proxy was used")
	}))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	for _, url := range []string{"http://192.0.2.1/", "https://192.0.2.1/"} {
		require.Equal(t, "the address is not a public one", send(NewClient(nil), url).Failure)
	}
}

// What docs/webhooks.md tells receivers to do, to the letter.
func verify(secret []byte, header http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", header.Get("webhook-id"), header.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.FieldsSeq(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return true
		}
	}
	return false
}

func TestReceiversVerify(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks.md")
	require.NoError(t, err)
	source, err := os.ReadFile("webhook_test.go")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(page), "```go\n")
	example, _, _ := strings.Cut(rest, "```")
	require.NotEmpty(t, example)
	require.Contains(t, string(source), example)

	old, fresh := NewSecret(), NewSecret()
	header, body := http.Header{}, []byte(`{"a":1}`)
	header.Set("webhook-id", "msg_1")
	header.Set("webhook-timestamp", "1614265330")
	header.Set("webhook-signature", Sign([][]byte{fresh, old}, "msg_1", time.Unix(1614265330, 0), body))
	require.True(t, verify(old, header, body))
	require.True(t, verify(fresh, header, body))
	require.False(t, verify(NewSecret(), header, body))
	require.False(t, verify(old, header, []byte(`{"a":2}`)))
	header.Set("webhook-id", "msg_2")
	require.False(t, verify(old, header, body))
}
