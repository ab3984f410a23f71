package catalog

import (
	"crypto/sha256"
	"encoding/hex"
)

// FingerprintMethod numbers what Fingerprint computes. Fingerprints of different
// methods say nothing about each other; whoever keeps one keeps its method. It goes
// up with every change to what Read reads or Fingerprint takes of it.
const FingerprintMethod = 1

// ofServer are kinds of facts that belong to a server and not to one of its
// databases: no dump carries them.
var ofServer = map[string]bool{"role": true, "membership": true, "setting": true}

// Fingerprint is a SHA-256 over the facts, the same for a database and for what is
// restored of it on a server of the same major version.
func Fingerprint(facts []Fact) string {
	carried := make([]Fact, 0, len(facts))
	for _, f := range facts {
		if !ofServer[f.Kind] {
			carried = append(carried, f)
		}
	}
	sum := sha256.Sum256(Format(carried))
	return hex.EncodeToString(sum[:])
}
