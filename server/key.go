package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	keyHeader    = "Idempotency-Key"
	maxKeyLength = 255
)

// parseKey reads an idempotency key: a string of RFC 9651, in quotes, or the
// same without quotes. Both spellings are one key. It is up to 255 characters
// of visible ASCII, and blanks inside of quotes.
//
// Source: draft-ietf-httpapi-idempotency-key-header-07.
func parseKey(header string) (string, error) {
	key := header
	if inner, ok := strings.CutPrefix(header, `"`); ok {
		inner, ok = strings.CutSuffix(inner, `"`)
		if !ok {
			return "", badKey()
		}
		if key, ok = unescape(inner); !ok {
			return "", badKey()
		}
	} else if strings.ContainsAny(header, `" ,;`) {
		return "", badKey()
	}
	outside := func(r rune) bool { return r < ' ' || r > '~' }
	if strings.TrimSpace(key) == "" || len(key) > maxKeyLength || strings.ContainsFunc(key, outside) {
		return "", badKey()
	}
	return key, nil
}

// unescape undoes the escapes of a structured-field string; a lone quote or
// backslash is an error.
func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return "", false
		case '\\':
			i++
			if i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

func badKey() *problem {
	return malformed("The idempotency key cannot be read.",
		inHeader(keyHeader, "must be 1 to 255 visible ASCII characters, best in quotes"))
}

// errKeyTaken says that the principal has used the idempotency key before.
var errKeyTaken = errors.New("the idempotency key is taken")

// perhapsReplayed says whether the error can mean that the request was made
// before: its key is taken, or something else of it that is unique. Of two
// requests with one key at the same moment, the second can meet the first's
// reference or number before it meets the key.
func perhapsReplayed(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, errKeyTaken) || ok && pg.Code == uniqueViolation
}

// once does what a request asks for, unless the same principal has asked for it
// under the same key before: then it returns what that led to, and replayed is
// "true". A key that was used for another request is refused.
func once[T any](
	do, first func() (T, error), hashOf func(T) []byte, hash []byte,
) (row T, replayed string, err error) {
	row, err = do()
	if err == nil || !perhapsReplayed(err) {
		return row, "", err
	}
	row, missing := first()
	if missing != nil {
		return row, "", err // Something else of the request was taken.
	}
	if !bytes.Equal(hashOf(row), hash) {
		return row, "", keyReused()
	}
	return row, "true", nil
}

// fingerprint identifies what a request asks for: SHA-256 over the operation,
// the path and the body as it was understood. How the JSON was written, and
// whether a default was spelled out, makes no difference.
func fingerprint(operation, path string, body any) ([]byte, error) {
	canonical, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("fingerprint the request: %w", err)
	}
	hash := sha256.New()
	hash.Write([]byte(operation + "\n" + path + "\n"))
	hash.Write(canonical)
	return hash.Sum(nil), nil
}
