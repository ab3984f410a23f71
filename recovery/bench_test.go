package recovery_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/database"
	"loanserve/internal/pastloans"
	"loanserve/internal/testdb"
	"loanserve/recovery"
)

// BenchmarkRecovery loses three quarters of a portfolio of 4,000 loans with 50 payments
// each, and brings them back from an archive on the same disk. It reports the steps in
// seconds, and how large the heap of the process was at most meanwhile.
//
//	go run ./internal/pgcluster/withpg -- go test -run '^$' -bench Recovery -benchtime 1x ./recovery
func BenchmarkRecovery(b *testing.B) {
	const loans, payments, lost = 4000, 50, 3000
	for b.Loop() {
		b.StopTimer()
		a := archive(b)
		conn, err := pgx.Connect(b.Context(), a.url)
		require.NoError(b, err)
		require.NoError(b, database.RegisterTypes(b.Context(), conn))
		first, _, err := pastloans.Store(b.Context(), conn, loans, payments)
		require.NoError(b, err)
		require.NoError(b, conn.Close(b.Context()))
		ids := make([]int64, lost)
		for i := range ids {
			ids[i] = first + int64(i)
		}
		xid := testdb.LoseLoans(b, a.super, ids...)
		a.catchUp(b)
		b.StartTimer()
		measureRecovery(b, a, xid, lost)
	}
}

func measureRecovery(b *testing.B, a *archived, xid string, lost int) {
	b.Helper()
	debug.FreeOSMemory() // What the portfolio was made with is not the recovery's.
	heap := watchHeap()
	began := time.Now()
	lap := func(name string) {
		b.ReportMetric(time.Since(began).Seconds(), name+"-s")
		began = time.Now()
	}
	found, err := recovery.Find(b.Context(), a.options, a.url, time.Time{})
	require.NoError(b, err)
	require.Equal(b, xid, fmt.Sprint(found.Takings[0].XID))
	lap("find")
	images, err := recovery.MakeImages(b.Context(), a.options, found.Takings[0].XID)
	require.NoError(b, err)
	defer func() { require.NoError(b, images.Close()) }()
	lap("images")
	s, err := recovery.Open(b.Context(), a.url)
	require.NoError(b, err)
	defer s.Close(context.Background())
	s.Origin = recovery.Origin{Actor: "operator", ActorName: "the benchmark", XIDs: []string{xid}}
	before, after := images.URLs("loanserve")
	require.NoError(b, s.Collect(b.Context(), before, after, nil))
	lap("compare")
	require.NoError(b, s.Select(b.Context(), recovery.Loans{}))
	plan, err := s.Plan(b.Context())
	require.NoError(b, err)
	require.Len(b, plan.Loans, lost)
	lap("plan")
	_, err = s.Merge(b.Context())
	require.NoError(b, err)
	lap("merge")
	inserted, _ := plan.Rows()
	b.ReportMetric(float64(inserted), "rows")
	b.ReportMetric(float64(heap())/1e6, "heap-MB")
}

// watchHeap looks at the heap until it is asked how large it was at most.
func watchHeap() (most func() uint64) {
	stop, largest := make(chan struct{}), make(chan uint64)
	go func() {
		var seen uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			seen = max(seen, m.HeapInuse)
			select {
			case <-stop:
				largest <- seen
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-largest }
}
