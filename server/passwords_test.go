package server_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"loanserve/server"
)

func TestPasswordHashes(t *testing.T) {
	t.Parallel()

	hash := server.HashPassword(goodPassword)
	require.True(t, strings.HasPrefix(hash, "$argon2id$v=19$m=47104,t=1,p=1$"), hash)
	require.NotEqual(t, hash, server.HashPassword(goodPassword), "each has a salt of its own")

	check := func(hash, password string) (bool, string) {
		right, rehashed, err := server.CheckHash(t.Context(), cheap, hash, password)
		require.NoError(t, err)
		return right, rehashed
	}
	current := server.HashPasswordAt(goodPassword, cheap)
	right, rehashed := check(current, goodPassword)
	require.Equal(t, []any{true, ""}, []any{right, rehashed})
	right, _ = check(current, goodPassword+" ")
	require.False(t, right)
	right, rehashed = check("", goodPassword)
	require.Equal(t, []any{false, ""}, []any{right, rehashed}, "nobody's password")

	// One that was hashed at another cost comes back at today's, when it is right.
	old := server.HashPasswordAt(goodPassword, server.PasswordCost{MemoryKiB: 128, Passes: 2, Lanes: 2})
	right, rehashed = check(old, "wrong")
	require.Equal(t, []any{false, ""}, []any{right, rehashed})
	right, rehashed = check(old, goodPassword)
	require.True(t, right)
	require.True(t, strings.HasPrefix(rehashed, "$argon2id$v=19$m=64,t=1,p=1$"), rehashed)
	right, again := check(rehashed, goodPassword)
	require.Equal(t, []any{true, ""}, []any{right, again})

	for _, bad := range []string{
		"x", strings.Replace(current, "argon2id", "argon2i", 1), strings.Replace(current, "v=19", "v=16", 1),
		strings.Replace(current, "m=64", "m=1000000", 1), strings.Replace(current, "t=1", "t=1000", 1),
		strings.Replace(current, "t=1", "t=0", 1), strings.Replace(current, "p=1", "p=0", 1),
		strings.Replace(current, "p=1", "p=255", 1), current[:len(current)-1], current + "$",
	} {
		_, _, err := server.CheckHash(t.Context(), cheap, bad, goodPassword)
		require.Error(t, err, bad)
	}
}

func FuzzPasswordHash(f *testing.F) {
	f.Add(server.HashPasswordAt(goodPassword, cheap))
	f.Add("$argon2id$v=19$m=64,t=1,p=1$YWJj$YWJj")
	f.Fuzz(func(t *testing.T, hash string) {
		cost, _, _, err := server.ParseHash(hash)
		if err == nil && (cost.Passes < 1 || cost.Passes > 16 || cost.Lanes < 1 || cost.MemoryKiB > server.HashingMemoryKiB) {
			t.Errorf("ParseHash(%q) = %+v: costs more than the program has", hash, cost)
		}
	})
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()

	require.NoError(t, server.CheckPassword("pat", goodPassword))
	require.NoError(t, server.CheckPassword("pat", strings.Repeat("ü", server.MinPasswordLength)))
	for _, bad := range []string{"", "short", strings.Repeat("a", server.MaxPasswordLength+1)} {
		require.ErrorIs(t, server.CheckPassword("pat", bad), server.ErrPassword)
	}
	require.ErrorIs(t, server.CheckPassword("long.name@example.com", "Long.Name@example.com"), server.ErrPassword)
}

// However many log in, no more memory is used than for four at a time.
func TestPasswordMemoryIsBounded(t *testing.T) {
	t.Parallel()

	const at = 12
	p := server.NewPasswords(server.PasswordCost{MemoryKiB: server.HashingMemoryKiB / 4, Passes: 1, Lanes: 1})
	var all sync.WaitGroup
	var mu sync.Mutex
	running, most := 0, 0
	gate := make(chan struct{})
	for range at {
		all.Go(func() {
			_ = server.UsePasswordMemory(p, t.Context(), server.HashingMemoryKiB/4, func() {
				mu.Lock()
				running++
				most = max(most, running)
				full := running == 4
				mu.Unlock()
				if full {
					select {
					case <-gate:
					default:
						close(gate)
					}
				}
				<-gate
				mu.Lock()
				running--
				mu.Unlock()
			})
		})
	}
	all.Wait()
	require.Equal(t, 4, most)
}
