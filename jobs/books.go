package jobs

import (
	"context"

	"github.com/jackc/pgx/v5"

	"loanserve/backup"
	"loanserve/queries"
)

// BackupRole is the database role that may read everything.
const BackupRole = "loanserve_backup"

// BookFigures are what a backup records of the books besides their rows: people
// compare them with what they know.
func BookFigures() []backup.Question {
	return []backup.Question{
		{Name: "trial balance in cents", Ask: func(ctx context.Context, tx pgx.Tx) (string, error) {
			return queries.New(tx).GetTrialBalanceText(ctx)
		}},
		{Name: "heads of the chains", Ask: func(ctx context.Context, tx pgx.Tx) (string, error) {
			return queries.New(tx).GetChainHeadsText(ctx)
		}},
	}
}

// BookChecks are what must hold in a restored database. They take as long as
// reading the whole ledger, and so are made there and not in the one at work.
func BookChecks() []backup.Check {
	return []backup.Check{
		{Name: "broken seals", Count: func(ctx context.Context, tx pgx.Tx) (int64, error) {
			return queries.New(tx).CountBrokenSeals(ctx)
		}},
		{
			Name: "loans that are not the sum of their transactions",
			Count: func(ctx context.Context, tx pgx.Tx) (int64, error) {
				return queries.New(tx).CountUnreconciledLoans(ctx)
			},
		},
		{
			Name: "cents by which debits and credits differ",
			Count: func(ctx context.Context, tx pgx.Tx) (int64, error) {
				return queries.New(tx).CountImbalanceCents(ctx)
			},
		},
	}
}
