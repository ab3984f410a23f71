package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// providerTimeout bounds one question to the provider, for which requests wait.
	providerTimeout = 5 * time.Second
	// maxProviderAnswer is far beyond any set of keys, in bytes.
	maxProviderAnswer = 1 << 20
	// askEvery is how often the provider is asked at most, after askBurst questions
	// at once. A token signed by a key that nobody has makes a question, and
	// strangers can send such by the thousand.
	askEvery = time.Second
	askBurst = 10
	// keysLast is how long keys are believed once they were fetched.
	keysLast = time.Hour
)

var (
	errAskedTooOften = errors.New("the provider was asked too often")
	errRedirected    = errors.New("the provider sends elsewhere: set the URL it sends to")
	errNoKeysURL     = errors.New("the provider's metadata name no usable URL of its keys")
)

// provider asks the OIDC provider, seldom and for little.
type provider struct {
	client *http.Client

	mu   sync.Mutex
	next time.Time         // when the provider would be asked, were it asked steadily
	last map[string][]byte // the last good answers, by URL
}

func newProvider() *provider {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // Nobody replaces it.
	transport.DisableKeepAlives = true                           // The next question is hours away.
	p := &provider{last: map[string][]byte{}}
	p.client = &http.Client{Timeout: providerTimeout, Transport: &providerTransport{provider: p, next: transport}}
	return p
}

// context makes go-oidc ask by the provider's client.
func (p *provider) context() context.Context {
	return oidc.ClientContext(context.Background(), p.client)
}

// keysURL reads where the keys are from the provider's metadata, which have to
// name the issuer (OpenID Connect Discovery 1.0, 4.3).
func (p *provider) keysURL(issuer string) (string, error) {
	found, err := oidc.NewProvider(p.context(), issuer)
	if err != nil {
		return "", fmt.Errorf("read metadata of provider: %w", err)
	}
	var metadata struct {
		KeysURL string `json:"jwks_uri"`
	}
	if err := found.Claims(&metadata); err != nil || CheckProviderURL(metadata.KeysURL) != nil {
		return "", errNoKeysURL
	}
	return metadata.KeysURL, nil
}

// keySet is the provider's keys. They are fetched when one is needed that is not
// known, and anew after a while, because go-oidc would believe one that is
// withdrawn for ever. It also tells a signature that is wrong from keys that
// could not be fetched, of which the verifier makes one error.
type keySet struct {
	provider *provider
	url      string

	mu      sync.Mutex
	current *oidc.RemoteKeySet
	since   time.Time
}

// fresh returns the keys, and those that are old enough it forgets.
func (k *keySet) fresh(now time.Time) *oidc.RemoteKeySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil || now.Sub(k.since) >= keysLast {
		k.current, k.since = oidc.NewRemoteKeySet(k.provider.context(), k.url), now
	}
	return k.current
}

// awayKey is the context's key of a *error, to be set when the provider was
// needed and could not be asked.
type awayKey struct{}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.fresh(time.Now()).VerifySignature(ctx, jwt)
	// A failure to fetch is the only error that has a cause to unwrap.
	if away, ok := ctx.Value(awayKey{}).(*error); ok && errors.Unwrap(err) != nil {
		*away = err
	}
	return payload, err
}

// providerTransport bounds how often the provider is asked and how much it may
// say. Beyond that its last answer is given again.
type providerTransport struct {
	*provider

	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper. Any answer but a good one is an error,
// in which nothing of it is repeated.
func (t *providerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	url := r.URL.String()
	if last, ok := t.mayAsk(url, time.Now()); !ok {
		if last == nil {
			return nil, errAskedTooOften
		}
		return goodAnswer(r, last), nil
	}
	w, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Body.Close() }()
	if w.StatusCode >= 300 && w.StatusCode < 400 {
		return nil, errRedirected
	}
	body, err := io.ReadAll(io.LimitReader(w.Body, maxProviderAnswer+1))
	if err == nil && (w.StatusCode != http.StatusOK || len(body) > maxProviderAnswer) {
		err = fmt.Errorf("the provider answered %d with %d bytes", w.StatusCode, len(body))
	}
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last[url] = body
	return goodAnswer(r, body), nil
}

// mayAsk says whether the provider may be asked now, and otherwise what it said
// the last time.
func (p *provider) mayAsk(url string, now time.Time) (last []byte, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next.Sub(now) >= askBurst*askEvery {
		return p.last[url], false
	}
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(askEvery)
	return nil, true
}

func goodAnswer(r *http.Request, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {jsonMediaType}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body)), Request: r,
	}
}
