package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"
)

// PasswordCost is what hashing a password costs: argon2id's memory, its passes
// over it, and the lanes they are divided into.
type PasswordCost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// defaultPasswordCost is the first choice of the OWASP Password Storage Cheat
// Sheet: 46 MiB, one pass, one lane; some 30 ms. Whoever logs in with a hash of
// another cost gets a new one.
var defaultPasswordCost = PasswordCost{MemoryKiB: 46 << 10, Passes: 1, Lanes: 1}

const (
	// hashingMemoryKiB bounds the memory of all passwords that are hashed at the
	// same moment: four of the default cost.
	hashingMemoryKiB = 4 * 46 << 10
	// hashingWait bounds how long one waits for that memory.
	hashingWait = 5 * time.Second
	// The limits of a hash that is read: a row must not cost the program its life.
	maxHashMemoryKiB = hashingMemoryKiB
	maxHashPasses    = 16
	maxHashLanes     = 16

	saltBytes = 16
	hashBytes = 32
)

// The shortest and the longest password, in characters. Length is all that is
// asked of one (NIST SP 800-63B, 3.1.1.2).
const (
	MinPasswordLength = 12
	MaxPasswordLength = 128
)

// ErrPassword reports a password that is too short, too long, or the name it is
// to protect.
var ErrPassword = fmt.Errorf("a password has %d to %d characters and is not the name",
	MinPasswordLength, MaxPasswordLength)

// CheckPassword returns ErrPassword unless the password is good enough to be
// set for the user of the name.
func CheckPassword(name, password string) error {
	n := utf8.RuneCountInString(password)
	if n < MinPasswordLength || n > MaxPasswordLength || strings.EqualFold(name, password) {
		return ErrPassword
	}
	return nil
}

// userName is what the table of users takes as a name.
var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,99}$`)

// ValidUserName says whether somebody can log in under the name.
func ValidUserName(name string) bool { return userName.MatchString(name) }

// HashPassword returns what is stored of a password: argon2id of the default
// cost, in the usual text form.
func HashPassword(password string) string { return hashPassword(password, defaultPasswordCost) }

func hashPassword(password string, c PasswordCost) string {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // Never fails: it would rather crash the program.
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Passes, c.Lanes,
		text(salt), text(argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Lanes, hashBytes)))
}

var errNotHash = errors.New("not the hash of a password")

// parseHash reads what hashPassword writes.
func parseHash(encoded string) (c PasswordCost, salt, hash []byte, err error) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errNotHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.MemoryKiB, &c.Passes, &c.Lanes); err != nil {
		return c, nil, nil, errNotHash
	}
	salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if err != nil {
		return c, nil, nil, errNotHash
	}
	hash, err = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(hash) != hashBytes || c.Passes < 1 || c.Passes > maxHashPasses ||
		c.Lanes < 1 || c.Lanes > maxHashLanes || c.MemoryKiB > maxHashMemoryKiB {
		return c, nil, nil, errNotHash
	}
	return c, salt, hash, nil
}

// passwords hashes and compares passwords within a bound of memory.
type passwords struct {
	cost   PasswordCost
	memory *semaphore.Weighted // in KiB
	nobody string              // the hash that is compared for a name that nobody has
}

func newPasswords(c PasswordCost) *passwords {
	if c == (PasswordCost{}) {
		c = defaultPasswordCost
	}
	return &passwords{
		cost: c, memory: semaphore.NewWeighted(hashingMemoryKiB), nobody: hashPassword(NewTokenSecret(), c),
	}
}

// errHashing says that too many passwords are being hashed.
var errHashing = errors.New("too many passwords are being hashed")

// use runs f when there is memory for it, or returns errHashing.
func (p *passwords) use(ctx context.Context, memoryKiB uint32, f func()) error {
	ctx, cancel := context.WithTimeout(ctx, hashingWait)
	defer cancel()
	if err := p.memory.Acquire(ctx, int64(memoryKiB)); err != nil {
		return errors.Join(errHashing, err)
	}
	defer p.memory.Release(int64(memoryKiB))
	f()
	return nil
}

// hash returns the hash of a new password.
func (p *passwords) hash(ctx context.Context, password string) (encoded string, err error) {
	err = p.use(ctx, p.cost.MemoryKiB, func() { encoded = hashPassword(password, p.cost) })
	return encoded, err
}

// check says whether the password is the one that was hashed. A right one that
// was hashed at another cost comes back hashed at today's. Without a hash, for a
// name that nobody has, the answer is no and takes as long.
func (p *passwords) check(ctx context.Context, encoded, password string) (right bool, rehashed string, err error) {
	known := encoded != ""
	if !known {
		encoded = p.nobody
	}
	cost, salt, want, err := parseHash(encoded)
	if err != nil {
		return false, "", err
	}
	err = p.use(ctx, cost.MemoryKiB, func() {
		got := argon2.IDKey([]byte(password), salt, cost.Passes, cost.MemoryKiB, cost.Lanes, hashBytes)
		right = subtle.ConstantTimeCompare(got, want) == 1 && known
	})
	if err == nil && right && cost != p.cost {
		rehashed, err = p.hash(ctx, password)
	}
	return right, rehashed, err
}
