package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"loanserve/internal/database"
	"loanserve/internal/localday"
	"loanserve/jobs"
	"loanserve/server"
)

// The types of settings. Each refuses what it does not take, with words that
// can stand behind the names of the flag and the variable.

// safeError is an error that does not repeat a secret.
type safeError struct{ error }

// databaseURL is a PostgreSQL connection string, which may hold a password.
type databaseURL string

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *databaseURL) UnmarshalText(text []byte) error {
	if err := database.Check(string(text)); err != nil {
		return safeError{err}
	}
	*u = databaseURL(text)
	return nil
}

// LogValue implements slog.LogValuer and keeps the string out of logs.
func (databaseURL) LogValue() slog.Value { return slog.StringValue("(secret)") }

// address is where to listen: host:port, :port for every interface, and port 0
// for a free one.
type address string

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *address) UnmarshalText(text []byte) error {
	_, port, err := net.SplitHostPort(string(text))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("must be host:port, such as 127.0.0.1:8080")
	}
	*a = address(text)
	return nil
}

// count is a number of workers or connections.
type count int

const maxCount = 1000

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 || n > maxCount {
		return fmt.Errorf("must be a whole number from 0 to %d", maxCount)
	}
	*c = count(n)
	return nil
}

// logLevel is the least level that is logged.
type logLevel slog.Level

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *logLevel) UnmarshalText(text []byte) error {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	level, ok := levels[string(text)]
	if !ok {
		return errors.New("must be debug, info, warn or error")
	}
	*l = logLevel(level)
	return nil
}

// logFormat is json or text, or "" where nobody chose.
type logFormat string

const (
	logJSON logFormat = "json"
	logText logFormat = "text"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *logFormat) UnmarshalText(text []byte) error {
	switch format := logFormat(text); format {
	case logJSON, logText:
		*f = format
		return nil
	default:
		return errors.New("must be json or text")
	}
}

// networkSetting is a network such as 10.0.0.0/8, or one address.
type networkSetting netip.Prefix

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *networkSetting) UnmarshalText(text []byte) error {
	p, err := server.ParseNetwork(string(text))
	*n = networkSetting(p)
	return err
}

// providerURL is a URL of an OpenID provider.
type providerURL string

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *providerURL) UnmarshalText(text []byte) error {
	*u = providerURL(text)
	return server.CheckProviderURL(string(text))
}

// retention is how long attempts to log in are kept: no shorter than the throttle
// counts them.
type retention lifetime

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *retention) UnmarshalText(text []byte) error {
	var l lifetime
	if err := l.UnmarshalText(text); err != nil {
		return err
	}
	if time.Duration(l) < jobs.LockoutWindow {
		return errors.New("must be 24h or more: the throttle of logins counts as far back")
	}
	*r = retention(l)
	return nil
}

// historyTime is how long the history of rows is kept: no shorter than the database
// keeps it anyway.
type historyTime lifetime

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *historyTime) UnmarshalText(text []byte) error {
	var l lifetime
	if err := l.UnmarshalText(text); err != nil {
		return err
	}
	if time.Duration(l) < jobs.MinHistoryRetention {
		return errors.New("must be 90d or more: the database keeps as much")
	}
	*h = historyTime(l)
	return nil
}

// webhookTime is how long messages of webhooks are kept: no shorter than they are tried.
type webhookTime lifetime

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *webhookTime) UnmarshalText(text []byte) error {
	var l lifetime
	if err := l.UnmarshalText(text); err != nil {
		return err
	}
	if time.Duration(l) < jobs.MinWebhookRetention {
		return errors.New("must be 7d or more: messages are tried for half as long")
	}
	*w = webhookTime(l)
	return nil
}

// timeZone is where a deployment is at home.
type timeZone struct{ *time.Location }

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *timeZone) UnmarshalText(text []byte) (err error) {
	z.Location, err = localday.ParseZone(string(text))
	if err != nil {
		return errors.New("must be the name of a time zone, such as America/New_York")
	}
	return nil
}

// cutOff is the hour from which on money is received on the next day.
type cutOff localday.Hour

// UnmarshalText implements encoding.TextUnmarshaler. It refuses 00:00, which
// would make every payment late by a day where somebody meant the day's end.
func (c *cutOff) UnmarshalText(text []byte) error {
	hour, err := localday.ParseHour(string(text))
	if err != nil || hour == 0 {
		return errors.New("must be a time of day from 00:01 to 24:00, such as 17:00")
	}
	*c = cutOff(hour)
	return nil
}

// closeHour is the hour from which on the day before is closed.
type closeHour struct {
	at  localday.Hour
	off bool // days are not closed by themselves
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *closeHour) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*h = closeHour{at: 0, off: true}
		return nil
	}
	hour, err := localday.ParseHour(string(text))
	if err != nil || hour == localday.Midnight {
		return errors.New("must be a time of day from 00:00 to 23:59, such as 00:30, or off")
	}
	*h = closeHour{at: hour, off: false}
	return nil
}

// String returns what was set.
func (h closeHour) String() string {
	if h.off {
		return "off"
	}
	return h.at.String()
}

// lifetime is how long a token is good for: 90d, 12h, 30m.
type lifetime time.Duration

const (
	day         = 24 * time.Hour
	maxLifetime = 10 * 365 * day
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *lifetime) UnmarshalText(text []byte) error {
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 12)
		d = time.Duration(n) * day
	} else {
		d, err = time.ParseDuration(string(text))
	}
	if err != nil || d <= 0 || d > maxLifetime {
		return errors.New("must be a duration such as 90d or 12h, of at most ten years")
	}
	*l = lifetime(d)
	return nil
}

// statementText is something that stands on a statement, in one line.
type statementText string

var errStatementText = errors.New("must be 1 to 200 characters in one line")

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *statementText) UnmarshalText(text []byte) error {
	value := strings.TrimSpace(string(text))
	if n := utf8.RuneCountInString(value); n < 1 || n > 200 || !utf8.ValidString(value) ||
		strings.ContainsFunc(value, unicode.IsControl) {
		return errStatementText
	}
	*s = statementText(value)
	return nil
}
