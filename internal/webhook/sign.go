// Package webhook sends messages by Standard Webhooks (standardwebhooks.com): it signs
// them, and refuses to connect to where nobody outside has any business.
//
// Inside: signatures and secrets; which addresses may be connected to; one attempt at
// sending one message. Not inside: what is sent, to whom, and when again: package jobs.
//
// The one idea: an address is judged when it is dialed, after its name was resolved.
// A name that is resolved, judged and then resolved again could be another by then.
package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// secretPrefix begins a secret as people see it.
	secretPrefix = "whsec_"
	// secretBytes is how long new secrets are; the specification has 24 to 64.
	secretBytes = 32
	minSecret   = 24
	maxSecret   = 64
	// signatureVersion is of HMAC-SHA256 with a shared secret.
	signatureVersion = "v1,"
)

// NewSecret returns a new secret.
func NewSecret() []byte {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // It never fails.
	return secret
}

// FormatSecret writes a secret as receivers' libraries take it.
func FormatSecret(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

var errSecret = errors.New("must be whsec_ and the base64 of 24 to 64 bytes")

// ParseSecret reads what FormatSecret has written.
func ParseSecret(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) < minSecret || len(secret) > maxSecret {
		return nil, errSecret
	}
	return secret, nil
}

// Sign returns the webhook-signature header: one signature by each secret, for while
// a secret is replaced by another.
func Sign(secrets [][]byte, id string, at time.Time, body []byte) string {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%s.", id, timestamp(at))
		mac.Write(body)
		signatures[i] = signatureVersion + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}

// timestamp is the webhook-timestamp header: whole seconds.
func timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
