package jobs

import (
	"encoding/json"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/riverqueue/river/rivertype"
)

// subject is what the arguments of jobs name, and all of it that a log may say. Every
// field is an id of this program's own: a type that could hold a name has no place here.
type subject struct {
	PaymentID   uuid.UUID `json:"payment_id"`
	ReversalID  uuid.UUID `json:"reversal_id"`
	ChangeID    uuid.UUID `json:"change_id"`
	RunID       uuid.UUID `json:"run_id"`
	BatchID     uuid.UUID `json:"batch_id"`
	AnalysisID  uuid.UUID `json:"analysis_id"`
	BackupID    uuid.UUID `json:"backup_id"`
	ReturnID    uuid.UUID `json:"return_id"`
	FirstLoanID int64     `json:"first_loan_id"`
	LastLoanID  int64     `json:"last_loan_id"`
}

// subjectOf returns what a job is about, for its line in the log.
func subjectOf(job *rivertype.JobRow) []slog.Attr {
	if job.Kind == (PostPaymentChunkArgs{}).Kind() {
		// One list of ids is all that it has, and there may be hundreds: their quotes are
		// counted, beside those of the name of the list.
		return []slog.Attr{slog.Int("payments", strings.Count(string(job.EncodedArgs), `"`)/2-1)}
	}
	var s subject
	if json.Unmarshal(job.EncodedArgs, &s) != nil {
		return nil // The line is worth having without.
	}
	var attrs []slog.Attr
	for _, id := range [...]struct {
		name string
		id   uuid.UUID
	}{
		{"payment_id", s.PaymentID},
		{"reversal_id", s.ReversalID},
		{"change_id", s.ChangeID},
		{"run_id", s.RunID},
		{"batch_id", s.BatchID},
		{"analysis_id", s.AnalysisID},
		{"backup_id", s.BackupID},
		{"return_id", s.ReturnID},
	} {
		if id.id != uuid.Nil {
			attrs = append(attrs, slog.String(id.name, id.id.String()))
		}
	}
	if s.LastLoanID != 0 {
		attrs = append(attrs, slog.Int64("first_loan_id", s.FirstLoanID), slog.Int64("last_loan_id", s.LastLoanID))
	}
	return attrs
}
