package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/queries"
)

// The policy of the throttle. An account's failures are those since its last
// success, within jobs.LockoutWindow. They are counted by the name that is
// typed, whether anybody has it or not.
const (
	// freeFailures is how many guesses at an account go without a pause. The
	// pause after them begins at firstPause and doubles up to lastPause.
	freeFailures = 5
	firstPause   = 2 * time.Second
	lastPause    = 300 * time.Second
	// networkFailures is how many guesses may come from one address (of IPv6,
	// from one network of /64) within networkWindow, at whatever accounts.
	networkFailures = 100
	networkWindow   = 15 * time.Minute
)

// accountPause returns how long after its last failure an account with so many
// of them takes no further guess.
func accountPause(failures int64) time.Duration {
	if failures < freeFailures {
		return 0
	}
	if beyond := failures - freeFailures; beyond < 8 { // 2^8 s is the last doubling below the last pause
		return min(lastPause, firstPause<<beyond)
	}
	return lastPause
}

// pause returns how long nobody may try, or zero.
func pause(f queries.GetLoginFailuresRow) time.Duration {
	seconds := accountPause(f.AccountFailures).Seconds() - f.AccountLastSeconds
	if f.NetworkFailures >= networkFailures {
		seconds = max(seconds, networkWindow.Seconds()-f.NetworkFirstSeconds)
	}
	return time.Duration(max(0, seconds) * float64(time.Second))
}

// throttled asks to come back after a while. It says the same whether the
// account exists or not.
func throttled(after time.Duration) *problem {
	p := newProblem(kindRateLimited, "There were too many attempts to log in. Wait before the next one.")
	return p.with("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
}

// wrongLogin is the one answer to every attempt that fails, whatever the reason.
func wrongLogin() *problem {
	return unauthenticated("The name or the password is wrong.", "")
}

// attempt is one attempt to log in that may look at the password.
type attempt struct {
	id      int64
	name    string
	address netip.Addr
	user    queries.User // zero where nobody has the name
	allowed bool         // he may come from the address
}

// logIn returns the user whose name and password these are. What it returns
// otherwise is a problem, or a failure of the database; without the database
// nobody is let in.
//
// The attempt is stored, as one that failed, before the password is looked at,
// under a lock on account and network. So guesses at the same time see each
// other, and no more of them are evaluated than if they came one by one.
func (s *Server) logIn(ctx context.Context, name, password string) (attempt, string, error) {
	address, err := clientAddress(ctx)
	if err != nil {
		return attempt{}, "", err
	}
	a, err := s.admit(ctx, strings.ToLower(name), address)
	if err != nil {
		return a, "", err
	}
	right, rehashed, err := s.passwords.check(ctx, a.user.PasswordHash, password)
	if errors.Is(err, errHashing) {
		if err := s.q.MarkLoginAttempt(context.WithoutCancel(ctx), queries.LoginOutcomeAbandoned, a.id); err != nil {
			return a, "", fmt.Errorf("abandon attempt: %w", err)
		}
		return a, "", unavailable("Too many people log in at the moment. Try again.", err)
	}
	if err != nil {
		return a, "", fmt.Errorf("check password of user %d: %w", a.user.ID, err)
	}
	if outcome := a.outcome(right); outcome != queries.LoginOutcomeSucceeded {
		if err := s.q.MarkLoginAttempt(ctx, outcome, a.id); err != nil {
			return a, "", fmt.Errorf("mark attempt: %w", err)
		}
		return a, "", wrongLogin()
	}
	return a, rehashed, nil
}

// admit stores an attempt, unless the throttle refuses it. A refusal is noted at
// most once a second, so that a flood of attempts is not one of rows.
func (s *Server) admit(ctx context.Context, name string, address netip.Addr) (a attempt, err error) {
	var wait time.Duration
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		network := networkOf(address)
		if err := q.LockLogin(ctx, name, network.String()); err != nil {
			return fmt.Errorf("lock login: %w", err)
		}
		failures, err := q.GetLoginFailures(ctx, queries.GetLoginFailuresParams{
			Name: name, Network: network, WindowSeconds: int32(jobs.LockoutWindow.Seconds()),
			NetworkWindowSeconds: int32(networkWindow.Seconds()), NetworkLimit: networkFailures,
		})
		if err != nil {
			return fmt.Errorf("get failures: %w", err)
		}
		if wait = pause(failures); wait > 0 {
			return note(ctx, q, failures, name, address)
		}
		a, err = start(ctx, q, name, address)
		return err
	})
	if err == nil && wait > 0 {
		err = throttled(wait)
	}
	return a, err
}

// networkOf is what is counted together: an address of version 4, or the /64 of
// one of version 6, which one customer has whole.
func networkOf(address netip.Addr) netip.Prefix {
	bits := 32
	if address.Is6() {
		bits = 64
	}
	network, err := address.Prefix(bits)
	if err != nil {
		panic(err) // The bits fit the address.
	}
	return network
}

// note stores that the throttle refused an attempt.
func note(
	ctx context.Context, q *queries.Queries, f queries.GetLoginFailuresRow, name string, address netip.Addr,
) error {
	if f.Noted {
		return nil
	}
	_, err := q.InsertLoginAttempt(ctx, queries.InsertLoginAttemptParams{
		UserID: nil, Name: name, Ip: address, Outcome: queries.LoginOutcomeThrottled,
	})
	if err != nil {
		return fmt.Errorf("insert refused attempt: %w", err)
	}
	return nil
}

// start stores an attempt that is going to be evaluated. It does the same for a
// name that nobody has.
func start(ctx context.Context, q *queries.Queries, name string, address netip.Addr) (a attempt, err error) {
	a = attempt{name: name, address: address}
	a.user, err = q.GetUserByName(ctx, name)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return a, fmt.Errorf("get user: %w", err)
	}
	if a.allowed, err = q.GetAddressAllowed(ctx, a.user.ID, address); err != nil {
		return a, fmt.Errorf("get address allowed: %w", err)
	}
	arg := queries.InsertLoginAttemptParams{
		UserID: nil, Name: name, Ip: address, Outcome: queries.LoginOutcomeStarted,
	}
	if a.user.ID != 0 {
		arg.UserID = &a.user.ID
	}
	if a.id, err = q.InsertLoginAttempt(ctx, arg); err != nil {
		return a, fmt.Errorf("insert attempt: %w", err)
	}
	return a, nil
}

// outcome is what becomes of an attempt once the password was looked at.
func (a attempt) outcome(right bool) queries.LoginOutcome {
	switch {
	case a.user.ID == 0:
		return queries.LoginOutcomeUnknownName
	case !right:
		return queries.LoginOutcomeWrongPassword
	case a.user.DisabledAt != nil:
		return queries.LoginOutcomeDisabled
	case !a.allowed:
		return queries.LoginOutcomeAddressRefused
	default:
		return queries.LoginOutcomeSucceeded
	}
}

// openSession opens a session for the attempt that succeeded, and returns it
// with its token. A session that the browser held before is ended, and its token
// never used again. Should the password have changed, or the user be disabled
// since he was looked up, there is none.
func (s *Server) openSession(
	ctx context.Context, a attempt, rehashed, userAgent, held string,
) (row queries.Session, token string, err error) {
	secret := NewTokenSecret()
	changed := false
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		q := queries.New(tx)
		user, err := q.LockUser(ctx, a.user.ID)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("lock user: %w", err)
		}
		if changed = user.PasswordHash != a.user.PasswordHash || user.DisabledAt != nil; changed {
			return q.MarkLoginAttempt(ctx, queries.LoginOutcomeWrongPassword, a.id)
		}
		if rehashed != "" {
			if err := q.MarkPasswordRehashed(ctx, rehashed, user.ID); err != nil {
				return fmt.Errorf("store new hash: %w", err)
			}
		}
		if err := q.MarkLoginAttempt(ctx, queries.LoginOutcomeSucceeded, a.id); err != nil {
			return fmt.Errorf("mark attempt: %w", err)
		}
		if id, _, err := sessionPrefix.parse(held); err == nil {
			if _, err := q.MarkSessionRevoked(ctx, id, user.ID); err != nil {
				return fmt.Errorf("end session: %w", err)
			}
		}
		row, err = q.InsertSession(ctx, queries.InsertSessionParams{
			UserID: user.ID, TokenHash: HashTokenSecret(secret), Ip: a.address,
			UserAgent: userAgent, LastsSeconds: int32(sessionLasts.Seconds()),
		})
		if err != nil {
			return fmt.Errorf("insert session: %w", err)
		}
		actor := actorFor(ctx, userPrincipal(user.ID, user.Name, nil))
		return actor.tell(ctx, q, "logged_in", targetOf(user), map[string]any{"session_id": row.ID})
	})
	if err == nil && changed {
		err = wrongLogin()
	}
	return row, sessionPrefix.format(row.ID, secret), err
}

// heldSession is the token of the session that the browser has already, or "".
func heldSession(r *http.Request) string {
	held, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return held.Value
}
