package server

import (
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	errTokenShape   = errors.New("not an access token")
	errTokenType    = errors.New("the type of the token is not at+jwt")
	errTokenSubject = errors.New("the subject is missing, too long, or not of visible ASCII characters")
)

// checkType refuses a JWT that is no access token. The verifier does not look at
// the type, and would take a token that says who somebody is to a client for one
// that lets him in here: it has the same issuer and can have the same audience.
//
// Source: RFC 9068, 4; RFC 8725, 3.11.
func checkType(token string) error {
	if len(token) > maxAccessToken || !accessTokenShape.MatchString(token) {
		return errTokenShape
	}
	encoded, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return errTokenShape
	}
	var header struct {
		Type string `json:"typ"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return errTokenShape
	}
	if strings.TrimPrefix(strings.ToLower(header.Type), "application/") != "at+jwt" {
		return errTokenType
	}
	return nil
}

// claims are what a verified token says that the verifier has no use for.
type claims struct {
	Subject string `json:"sub"`
	Scope   string `json:"scope"`

	// These the verifier has looked at. They are here so that a token that has one
	// of them twice, in whatever letters, is refused instead of read in two ways.
	Issuer    jsontext.Value `json:"iss"`
	Audience  jsontext.Value `json:"aud"`
	ExpiresAt jsontext.Value `json:"exp"`
	NotBefore jsontext.Value `json:"nbf"`
}

func claimsOf(token *oidc.IDToken) (c claims, err error) {
	var text stdjson.RawMessage
	if err := token.Claims(&text); err != nil {
		return c, fmt.Errorf("take claims: %w", err)
	}
	if err := json.Unmarshal(text, &c, json.MatchCaseInsensitiveNames(true)); err != nil {
		return c, fmt.Errorf("read claims: %w", err)
	}
	blank := func(r rune) bool { return r <= ' ' || r > '~' }
	if c.Subject == "" || len(c.Subject) > maxSubject || strings.ContainsFunc(c.Subject, blank) {
		return c, errTokenSubject
	}
	return c, nil
}
