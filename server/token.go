package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strconv"
	"strings"
)

// A bearer token is loanserve_<id>_<secret><check>: the id of its row, 160
// random bits, and the CRC-32 of all that stands before it. The fixed beginning
// lets secret scanners find a leaked one, and the check lets a mistyped one be
// refused without asking the database.
const tokenPrefix tokenKind = "loanserve_"

// The token of a session and that of a password reset are made alike, and begin
// differently, so that none passes for another.
const (
	sessionPrefix tokenKind = "loansession_"
	resetPrefix   tokenKind = "loanreset_"
)

// tokenKind is how the tokens of one kind begin.
type tokenKind string

const (
	secretBytes  = 20
	secretLength = 32 // of base32 text
	checkLength  = 7  // of base32 text for 32 bits
)

var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

var errNotToken = errors.New("not a bearer token of ours")

// NewTokenSecret returns the secret of a new bearer token: 160 random bits as
// 32 characters of base32. What is stored of it is HashTokenSecret; the token
// itself, FormatToken, is shown once, to whom it is for.
func NewTokenSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // Never fails: it would rather crash the program.
	return tokenText.EncodeToString(b)
}

// HashTokenSecret returns the 32 bytes by which the secret is recognized. A
// plain SHA-256 is enough: there are too many secrets to try them.
func HashTokenSecret(secret string) []byte {
	hash := sha256.Sum256([]byte(secret))
	return hash[:]
}

// FormatToken returns the bearer token for the row with the id, which must be
// positive, and the secret of which it holds the hash.
func FormatToken(id int64, secret string) string { return tokenPrefix.format(id, secret) }

func (k tokenKind) format(id int64, secret string) string {
	body := string(k) + strconv.FormatInt(id, 10) + "_" + secret
	return body + tokenCheck(body)
}

// parse takes a token of the kind apart. It returns errNotToken for anything
// that format does not make.
func (k tokenKind) parse(token string) (id int64, secret string, err error) {
	if len(token) < checkLength {
		return 0, "", errNotToken
	}
	body, check := token[:len(token)-checkLength], token[len(token)-checkLength:]
	number, secret, _ := strings.Cut(strings.TrimPrefix(body, string(k)), "_")
	id, err = strconv.ParseInt(number, 10, 64)
	if err != nil || id < 1 || len(secret) != secretLength || tokenCheck(body) != check ||
		k.format(id, secret) != token {
		return 0, "", errNotToken
	}
	return id, secret, nil
}

func tokenCheck(body string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(body)))
	return tokenText.EncodeToString(sum[:])
}
