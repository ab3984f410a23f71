package recovery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"loanserve/recovery"
)

// said is what pg_waldump says: of version 15 but for the line of transaction 12, which
// is of version 16.
const said = `rmgr: Heap        len (rec/tot):     54/    54, tx:         10, lsn: 0/03000028, prev 0/03000000, desc: DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:         11, lsn: 0/03000060, prev 0/03000028, desc: DELETE off 2 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Heap        len (rec/tot):     59/  7591, tx:         11, lsn: 0/03000098, prev 0/03000060, desc: DELETE off 3 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/101 blk 0 FPW
rmgr: Heap        len (rec/tot):     54/    54, tx:         11, lsn: 0/030000D0, prev 0/03000098, desc: DELETE off 4 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/6/100 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx:         11, lsn: 0/030000E0, prev 0/030000D0, desc: DELETE off 4 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/999 blk 0
rmgr: Transaction len (rec/tot):     38/    38, tx:         10, lsn: 0/03000100, prev 0/030000E0, desc: COMMIT 2026-11-28 03:04:05.678901 UTC; subxacts: 11; inval msgs: catcache 55
rmgr: Heap        len (rec/tot):     54/    54, tx:         12, lsn: 0/03000130, prev 0/03000100, desc: DELETE xmax: 12, off: 5, infobits: [KEYS_UPDATED], flags: 0x00, blkref #0: rel 1663/5/101 blk 0
rmgr: Transaction len (rec/tot):     38/    38, tx:         12, lsn: 0/03000160, prev 0/03000130, desc: ABORT 2026-11-28 03:04:06.000000 UTC
rmgr: Transaction len (rec/tot):     38/    38, tx:         13, lsn: 0/03000190, prev 0/03000160, desc: COMMIT 2026-11-28 03:04:07.000001 UTC; rels: base/5/100 base/5/101 base/6/1 base/5/t3_77; inval msgs: relcache 1
rmgr: Transaction len (rec/tot):     34/    34, tx:         14, lsn: 0/030001C0, prev 0/03000190, desc: COMMIT 2026-11-28 03:04:08.000000 UTC
rmgr: Heap        len (rec/tot):     54/    54, tx:         15, lsn: 0/030001F0, prev 0/030001C0, desc: HOT_UPDATE off 4 xmax 15 flags 0x10 ; new off 5 xmax 0, blkref #0: rel 1663/5/100 blk 0
rmgr: Heap        len (rec/tot):     54/    54, tx: 4294967290, lsn: 0/03000220, prev 0/030001F0, desc: DELETE off 4 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
rmgr: Transaction len (rec/tot):     34/    34, tx: 4294967290, lsn: 0/03000250, prev 0/03000220, desc: COMMIT_PREPARED gid transfer: 2026-11-28 03:04:09.500000 UTC
rmgr: Heap        len (rec/tot):     54/    54, tx:         16, lsn: 0/03000280, prev 0/03000250, desc: DELETE off 9 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/100 blk 0
`

// TestReadWAL counts what a transaction and its savepoints deleted from the tables of
// loans, forgets what was rolled back or has not ended, and sees tables that were emptied
// or dropped. Records that a new timeline repeats count once.
func TestReadWAL(t *testing.T) {
	t.Parallel()
	files := map[uint32]string{100: "loans", 101: "payments"}
	const epoch = uint64(3) << 32
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
