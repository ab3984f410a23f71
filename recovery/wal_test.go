package recovery_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/recovery"
)

// TestReadWAL counts what a transaction and its savepoints deleted from the tables of
// loans, forgets what was rolled back or has not ended, and sees tables that were emptied
// or dropped. Records that a new timeline repeats count once. The file is what pg_waldump
// says in version 15, but for the line of transaction 12, which is of version 16.
func TestReadWAL(t *testing.T) {
	t.Parallel()
	files := map[uint32]string{100: "loans", 101: "payments"}
	const epoch = uint64(3) << 32
	text, err := os.ReadFile("testdata/waldump.txt")
	require.NoError(t, err)
	said := string(text)
	takings, err := recovery.ReadWAL(strings.NewReader(said+said), 5, files, epoch+20)
	require.NoError(t, err)
	at := func(second, micro int) time.Time {
		return time.Date(2026, time.November, 28, 3, 4, second, micro*1000, time.UTC)
	}
	require.Equal(t, []recovery.Taking{
		{XID: epoch + 10, CommittedAt: at(5, 678901), Deleted: map[string]int64{"loans": 2, "payments": 1}},
		{XID: epoch + 13, CommittedAt: at(7, 1), Deleted: map[string]int64{}, Dropped: 2},
		{XID: epoch - 6, CommittedAt: at(9, 500000), Deleted: map[string]int64{"loans": 1}},
	}, takings)
	require.True(t, takings[0].TookLoans())
	require.False(t, takings[1].TookLoans())
}
