package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

const (
	// sessionIdle ends a session of which nothing is heard.
	sessionIdle = 30 * time.Minute
	// sessionLasts ends every session.
	sessionLasts = 12 * time.Hour
	// sessionCookie is bound to this host, to https and to all paths by its name
	// (RFC 6265bis, 4.1.3.2).
	sessionCookie = "__Host-loanserve"
)

// identify returns who makes the request, by its token or its cookie. A token in
// the header has precedence: no other site can make a browser send one.
func (s *Server) identify(r *http.Request) (Principal, error) {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		held, err := r.Cookie(sessionCookie)
		if err != nil {
			return Principal{}, noToken()
		}
		if err := sameSite.Check(r); err != nil {
			return Principal{}, crossSite()
		}
		return s.session(r.Context(), held.Value)
	}
	scheme, credentials, _ := strings.Cut(authorization, " ")
	if strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(credentials, string(sessionPrefix)) {
		return s.session(r.Context(), credentials)
	}
	if s.oidc != nil && strings.EqualFold(scheme, "Bearer") && accessTokenShape.MatchString(credentials) {
		return s.oidc.principal(r.Context(), credentials)
	}
	return s.tokens.principal(r.Context(), authorization)
}

// sameSite knows by what browsers say of a request whether another site made it.
var sameSite = http.NewCrossOriginProtection()

func crossSite() *problem {
	return forbidden("Another site made the browser send this request.")
}

// session returns whose session the token opens.
func (s *Server) session(ctx context.Context, token string) (Principal, error) {
	id, secret, err := sessionPrefix.parse(token)
	if err != nil {
		return Principal{}, badToken()
	}
	address, err := clientAddress(ctx)
	if err != nil {
		return Principal{}, err
	}
	row, err := s.q.GetLiveSession(ctx, queries.GetLiveSessionParams{
		ID: id, Address: address, IdleSeconds: int32(sessionIdle.Seconds()),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Principal{}, badToken()
	}
	if err != nil {
		return Principal{}, fmt.Errorf("get session: %w", err)
	}
	if subtle.ConstantTimeCompare(HashTokenSecret(secret), row.TokenHash) != 1 {
		return Principal{}, badToken()
	}
	principal := userPrincipal(row.UserID, row.Name, row.Roles)
	principal.SessionID = row.ID
	if !row.AddressAllowed {
		return principal, elsewhere()
	}
	if row.Stale {
		if err := s.q.MarkSessionSeen(ctx, row.ID); err != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "mark session seen", slog.Int64("session_id", row.ID), causeAttr(err))
		}
	}
	return principal, nil
}

// userPrincipal is a person, who may do what his roles allow and look after
// himself.
func userPrincipal(id int64, name string, roles []string) Principal {
	return Principal{
		ID: userText(id), Name: name, UserID: id, Scopes: append(scopesOf(roles), ScopeSelf),
	}
}

// userText is a user as the principal that is recorded with what he causes.
func userText(id int64) string { return "user:" + strconv.FormatInt(id, 10) }

// elsewhere refuses somebody who may not come from where he comes.
func elsewhere() *problem { return forbidden("This may not be used from your address.") }

// clientAddress returns the address of the client that ctx's request comes from.
// Where proxies say something that cannot be read there is none, and nobody is
// let in.
func clientAddress(ctx context.Context) (netip.Addr, error) {
	address := peerOf(ctx)
	if !address.IsValid() {
		return address, malformed("The address that the request comes from cannot be told.")
	}
	return address, nil
}

// peerOf returns the same where nobody is let in by it; it is invalid where it
// cannot be told. Which of our interfaces a link-local address was seen on is no
// part of it: PostgreSQL has no such addresses, and no network contains one.
func peerOf(ctx context.Context) netip.Addr { return middleware.GetClientIPAddr(ctx).WithZone("") }

// findClient is the middleware that finds out the client's address: the peer's
// own, or where the peer is one of the trusted proxies, the last address in
// X-Forwarded-For that is none of them.
func findClient(proxies []netip.Prefix) func(http.Handler) http.Handler {
	if len(proxies) == 0 {
		return middleware.ClientIPFromRemoteAddr
	}
	texts := make([]string, len(proxies))
	for i, p := range proxies {
		texts[i] = p.String()
	}
	return middleware.ClientIPFromXFF(texts...)
}

// contains says whether one of the networks has the address.
func contains(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(address) })
}
