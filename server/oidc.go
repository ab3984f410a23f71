package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"
)

// OIDC names the provider whose access tokens are taken beside the program's own.
type OIDC struct {
	// Issuer is the provider's URL, as its tokens name it in iss.
	Issuer string
	// Audience is this deployment's name with the provider: aud has to list it.
	Audience string
	// KeysURL is where the provider's keys are. Where it is empty, the provider's
	// metadata says so, which is read when the first token comes.
	KeysURL string
}

var errProviderURL = errors.New("must be a URL such as https://id.example.com, and http only on this machine")

// CheckProviderURL refuses a URL of a provider from which keys would be fetched
// in the clear. On the machine itself nobody can change them on the way.
func CheckProviderURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errProviderURL
	}
	address, _ := netip.ParseAddr(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (address.IsLoopback() || u.Hostname() == "localhost") {
		return nil
	}
	return errProviderURL
}

const (
	// maxAccessToken bounds what is looked at: providers stay well under it.
	maxAccessToken = 8192
	// maxKnownSubjects bounds the memory of who is recorded already.
	maxKnownSubjects = 10_000
	// oidcPrefix begins the principal of whoever comes with an access token.
	oidcPrefix = "oidc:"
	// maxSubject is the longest subject of which a principal can be made: the
	// database takes 200 characters.
	maxSubject = 200 - len(oidcPrefix)
)

// signatures are the algorithms that a token may be signed with. None of them is
// symmetric: the provider's public key never passes for a secret.
var signatures = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// accessTokenShape is that of a signed JWT (RFC 7515, 3.1), whose header is an
// object and therefore begins with eyJ.
var accessTokenShape = regexp.MustCompile(`^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

// accessTokens verifies access tokens of a provider (RFC 9068).
type accessTokens struct {
	OIDC

	asking  *provider
	record  func(ctx context.Context, principal, name string) error
	finding singleflight.Group // of the verifier

	mu       sync.Mutex
	keys     *keySet
	verifier *oidc.IDTokenVerifier // like keys, nil until it is known where the keys are
	known    map[string]bool       // principals that are recorded
}

// newAccessTokens asks nobody for anything yet, so that a server starts while
// its provider is away.
func newAccessTokens(o OIDC, record func(ctx context.Context, principal, name string) error) *accessTokens {
	a := &accessTokens{OIDC: o, asking: newProvider(), record: record, known: map[string]bool{}}
	if o.KeysURL != "" {
		a.take(o.KeysURL)
	}
	return a
}

// take learns where the keys are.
func (a *accessTokens) take(keysURL string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = &keySet{provider: a.asking, url: keysURL}
	a.verifier = oidc.NewVerifier(a.Issuer, a.keys, &oidc.Config{
		ClientID: a.Audience, SupportedSigningAlgs: signatures,
	})
}

// find returns the verifier, and asks the provider where its keys are if nobody
// has yet.
func (a *accessTokens) find(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	a.mu.Lock()
	found := a.verifier
	a.mu.Unlock()
	if found != nil {
		return found, nil
	}
	finding := a.finding.DoChan("", func() (any, error) {
		at, err := a.asking.keysURL(a.Issuer)
		if err == nil {
			a.take(at)
		}
		return nil, err
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-finding:
		if result.Err != nil {
			return nil, result.Err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.verifier, nil
}

// principal returns who the access token speaks for. Its error is a problem, or
// a failure of the database. While the provider's keys cannot be had, nobody new
// is let in.
func (a *accessTokens) principal(ctx context.Context, token string) (Principal, error) {
	if err := checkType(token); err != nil {
		return Principal{}, refusedToken(err)
	}
	verifier, err := a.find(ctx)
	if err != nil {
		return Principal{}, providerAway(err)
	}
	var away error
	verified, err := verifier.Verify(context.WithValue(ctx, awayKey{}, &away), token)
	if away != nil {
		return Principal{}, providerAway(away)
	}
	if err != nil {
		return Principal{}, refusedToken(err)
	}
	c, err := claimsOf(verified)
	if err != nil {
		return Principal{}, refusedToken(err)
	}
	p := Principal{ID: oidcPrefix + c.Subject, Name: c.Subject, Scopes: grantedBy(c.Scope)}
	if len(p.Scopes) == 0 {
		return p, nil // There is nothing that he could cause.
	}
	return p, a.remember(ctx, p)
}

// grantedBy returns those of the scopes in a claim that are ours. What somebody
// does for himself takes a session.
func grantedBy(claim string) []string {
	names := slices.DeleteFunc(strings.Fields(claim), func(name string) bool {
		_, ours := Scopes[name]
		return !ours || name == ScopeSelf
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// remember keeps the principal among those who can cause something, before he
// does, and asks the database once for each.
func (a *accessTokens) remember(ctx context.Context, p Principal) error {
	a.mu.Lock()
	known := a.known[p.ID]
	a.mu.Unlock()
	if known {
		return nil
	}
	if err := a.record(ctx, p.ID, p.Name); err != nil {
		return fmt.Errorf("record principal: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnownSubjects {
		clear(a.known)
	}
	a.known[p.ID] = true
	return nil
}

// refusedToken answers as every token that is not good, and tells the log alone
// what was the matter.
func refusedToken(cause error) *problem {
	p := badToken()
	p.cause = &refusedTokenError{clipped(cause.Error())}
	return p
}

// refusedTokenError is why an access token is not good. Its text may hold some of
// what a stranger wrote, and is short.
type refusedTokenError struct{ text string }

// Error implements error.
func (e *refusedTokenError) Error() string { return e.text }

func clipped(text string) string {
	const enough = 200
	return strings.ToValidUTF8(text[:min(len(text), enough)], "?")
}

func providerAway(cause error) *problem {
	return unavailable("The provider that vouches for the token cannot be asked. Try again.", cause)
}
