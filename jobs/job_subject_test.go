package jobs

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

func jobOf(t testing.TB, args river.JobArgs) *rivertype.JobRow {
	t.Helper()
	encoded, err := json.Marshal(args)
	require.NoError(t, err)
	return &rivertype.JobRow{
		ID: 7, Kind: args.Kind(), Queue: QueuePayments, EncodedArgs: encoded, Attempt: 1, MaxAttempts: 3,
	}
}

// A job's line says what the job is about, by ids.
func TestSubjectOfJobs(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("01890000-0000-7000-8000-000000000001")
	for args, want := range map[river.JobArgs]string{
		PostPaymentArgs{PaymentID: id}:          "payment_id=" + id.String(),
		ReversePaymentArgs{ReversalID: id}:      "reversal_id=" + id.String(),
		ChangeLoanArgs{ChangeID: id}:            "change_id=" + id.String(),
		BackUpDatabaseArgs{BackupID: id}:        "backup_id=" + id.String(),
		ReturnDisbursementArgs{ReturnID: id}:    "return_id=" + id.String(),
		MakeEscrowStatementArgs{AnalysisID: id}: "analysis_id=" + id.String(),
		CloseDayArgs{RunID: id}:                 "run_id=" + id.String(),
		CloseDayChunkArgs{RunID: id, FirstLoanID: 3, LastLoanID: 9}: "run_id=" + id.String() +
			" first_loan_id=3 last_loan_id=9",
		WatchLoansArgs{}: "",
	} {
		var said []string
		for _, attr := range subjectOf(jobOf(t, args)) {
			said = append(said, attr.String())
		}
		require.Equal(t, want, strings.Join(said, " "), args.Kind())
	}
	for _, n := range []int{1, 2, 500} {
		chunk := PostPaymentChunkArgs{PaymentIDs: make([]uuid.UUID, n)}
		require.EqualValues(t, n, subjectOf(jobOf(t, chunk))[0].Value.Int64())
	}
	require.Empty(t, subjectOf(&rivertype.JobRow{Kind: "other", EncodedArgs: []byte("null")}))
}

// What a job's line costs, which is once per payment where they come one by one.
func BenchmarkJobLine(b *testing.B) {
	var into bytes.Buffer
	m := NewMetrics(prometheus.NewRegistry(), slog.New(slog.NewJSONHandler(&into, nil)))
	job := jobOf(b, PostPaymentArgs{PaymentID: uuid.New()})
	b.ReportAllocs()
	for b.Loop() {
		into.Reset()
		m.finish(b.Context(), job, time.Millisecond, nil, false)
	}
}
