package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

const (
	// Timeout bounds one attempt, from the name's resolution to the answer's end.
	Timeout = 15 * time.Second
	// dialTimeout leaves time for another address of the same name.
	dialTimeout = 5 * time.Second
	// maxAnswer bounds what is read of an answer, which nobody looks at.
	maxAnswer = 64 << 10
	// maxHeader bounds an answer's header.
	maxHeader = 16 << 10
	// maxRetryAfter bounds for how long a receiver may ask to be left alone.
	maxRetryAfter = 24 * time.Hour
	// idleTimeout is how long a connection waits for the next message.
	idleTimeout = 30 * time.Second
)

// Message is what is sent.
type Message struct {
	ID      string
	Body    []byte
	Secrets [][]byte // the newest first; each of them signs
}

// Result is what became of an attempt. Nothing of the answer's body is in it.
type Result struct {
	Delivered  bool          // An answer of 2xx.
	Gone       bool          // 410: the receiver wants no more.
	StatusCode int           // 0 without an answer
	Failure    string        // Why it was not delivered, in a few words without a name or an address.
	RetryAfter time.Duration // Not to be tried again before, if the receiver says so.
}

// Client sends messages. It follows no redirect, knows no proxy and sends no cookies.
type Client struct {
	https, http *http.Client
}

// NewClient returns a client that connects to public addresses by HTTPS, and to those
// of the given networks by HTTPS or HTTP.
func NewClient(allow []netip.Prefix) *Client {
	return newClient(allow, nil)
}

func newClient(allow []netip.Prefix, tlsConfig *tls.Config) *Client {
	return &Client{
		https: httpClient(guard{allow: allow, public: true}, tlsConfig),
		http:  httpClient(guard{allow: allow, public: false}, tlsConfig),
	}
}

func httpClient(g guard, tlsConfig *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: g.control}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSClientConfig: tlsConfig,
			MaxResponseHeaderBytes: maxHeader, IdleConnTimeout: idleTimeout, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close closes the connections that are idle.
func (c *Client) Close() {
	c.https.CloseIdleConnections()
	c.http.CloseIdleConnections()
}

// Send makes one attempt. What goes wrong with the receiver is a result.
func (c *Client) Send(ctx context.Context, to string, m Message, now time.Time) Result {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(m.Body))
	if err != nil {
		return Result{Failure: "the URL cannot be used"}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "LoanServe")
	request.Header.Set("webhook-id", m.ID)
	request.Header.Set("webhook-timestamp", timestamp(now))
	request.Header.Set("webhook-signature", Sign(m.Secrets, m.ID, now, m.Body))
	client := c.https
	if request.URL.Scheme != "https" {
		client = c.http
	}
	answer, err := client.Do(request)
	if err != nil {
		return Result{Failure: failureOf(err)}
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer) // So that the connection can be used again.
	return resultOf(answer)
}

func resultOf(answer *http.Response) Result {
	r := Result{StatusCode: answer.StatusCode}
	switch {
	case answer.StatusCode >= 200 && answer.StatusCode < 300:
		r.Delivered = true
	case answer.StatusCode == http.StatusGone:
		r.Gone, r.Failure = true, "the receiver is gone"
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		r.Failure = "the answer is a redirect, and none is followed"
	default:
		r.Failure = fmt.Sprintf("the answer is %d", answer.StatusCode)
		seconds, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 31)
		if err == nil {
			r.RetryAfter = min(time.Duration(seconds)*time.Second, maxRetryAfter)
		}
	}
	return r
}

// failureOf says in a few words why there was no answer. The error itself names URL and
// addresses, which are nobody's business who may read deliveries.
func failureOf(err error) string {
	_, byName := errors.AsType[*net.DNSError](err)
	_, byCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, ErrAddress):
		return ErrAddress.Error()
	case byName:
		return "the name cannot be resolved"
	case byCertificate:
		return "the certificate is not valid"
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return "there was no answer in time"
	default:
		return "the connection failed"
	}
}

// CheckURL says what is wrong with a subscription's URL, or "". HTTP is for networks
// that are allowed: without any it is refused.
func CheckURL(text string, allow []netip.Prefix) string {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Host == "", u.Hostname() == "", u.Opaque != "":
		return "must be a URL such as https://example.com/hooks"
	case u.Scheme != "https" && (u.Scheme != "http" || len(allow) == 0):
		return "must begin with https://"
	case u.User != nil:
		return "must hold no user and no password"
	case u.Fragment != "":
		return "must hold no fragment"
	}
	address, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return "" // A name: its addresses are judged each time they are dialed.
	}
	g := guard{allow: allow, public: u.Scheme == "https"}
	network := map[bool]string{true: "tcp4", false: "tcp6"}[address.Is4()]
	if g.control(network, netip.AddrPortFrom(address, 1).String(), nil) != nil {
		return "must not name an address that is not a public one"
	}
	return ""
}
