package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"loanserve/mortgage"
	"loanserve/queries"
)

// checkFoundLimit is how many rows one step of a check names.
const checkFoundLimit = 10_000

// portfolioStep is something that is looked at in the whole portfolio, as one snapshot
// has it. What it does not find again of its kinds, with subjects that begin so, is
// resolved.
type portfolioStep struct {
	name   string
	kinds  []queries.IntegrityKind
	prefix string
	look   func(ctx context.Context, q *queries.Queries) ([]found, error)
}

// work looks, stores what it has found, and does also in the same transaction.
func (s portfolioStep) work(
	ctx context.Context, pool *pgxpool.Pool, also func(context.Context, *queries.Queries) error,
) (all []found, err error) {
	err = pgx.BeginTxFunc(ctx, pool, snapshot, func(tx pgx.Tx) (err error) {
		all, err = s.look(ctx, queries.New(tx))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		q := queries.New(tx)
		if err := storeFindings(ctx, q, all); err != nil {
			return err
		}
		if _, err := q.MarkPortfolioFindingsResolved(ctx, kindNames(s.kinds), s.prefix); err != nil {
			return fmt.Errorf("resolve findings: %w", err)
		}
		return also(ctx, q)
	})
	if err != nil {
		return nil, fmt.Errorf("store what %s found: %w", s.name, err)
	}
	return all, nil
}

func kindNames(kinds []queries.IntegrityKind) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return names
}

// registerStep compares the loans with the register of loans. The loss alarm does the
// same every minute, so it reads little more than two indexes.
var registerStep = portfolioStep{
	name: "register",
	kinds: []queries.IntegrityKind{
		queries.IntegrityKindLoanMissing, queries.IntegrityKindLoanUnregistered, queries.IntegrityKindRegisterCut,
	},
	look: func(ctx context.Context, q *queries.Queries) ([]found, error) {
		var all []found
		missing, err := q.ListMissingLoans(ctx, checkRowLimit)
		if err != nil {
			return nil, fmt.Errorf("list missing loans: %w", err)
		}
		for _, m := range missing {
			all = append(all, found{
				kind: queries.IntegrityKindLoanMissing, loanID: m.LoanID,
				details: map[string]any{"loan_number": m.LoanNumber, "boarded_at": m.BoardedAt.UTC()},
			})
		}
		unregistered, err := q.ListUnregisteredLoans(ctx, checkRowLimit)
		if err != nil {
			return nil, fmt.Errorf("list unregistered loans: %w", err)
		}
		for _, u := range unregistered {
			all = append(all, found{
				kind: queries.IntegrityKindLoanUnregistered, loanID: u.LoanID,
				details: map[string]any{"loan_number": u.LoanNumber},
			})
		}
		cut, err := lookForCutRegister(ctx, q)
		return append(all, cut...), err
	},
}

// lookForCutRegister looks for entries that are gone: from between others, or that were
// the last of their chain when somebody looked.
func lookForCutRegister(ctx context.Context, q *queries.Queries) ([]found, error) {
	var all []found
	counts, err := q.CountRegisteredLoans(ctx)
	if err != nil {
		return nil, fmt.Errorf("count registered loans: %w", err)
	}
	if counts.Registered != counts.Entries {
		all = append(all, found{
			kind: queries.IntegrityKindRegisterCut, subject: "gap",
			details: map[string]any{"registered": counts.Registered, "entries": counts.Entries},
		})
	}
	cut, err := q.ListCutRegisterAnchors(ctx, checkFoundLimit)
	if err != nil {
		return nil, fmt.Errorf("list cut anchors of the register: %w", err)
	}
	for _, c := range cut {
		all = append(all, found{
			kind: queries.IntegrityKindRegisterCut, subject: fmt.Sprintf("chain %d entry %d", c.Chain, c.Entry),
			details: map[string]any{"seen_at": c.SeenAt.UTC()},
		})
	}
	return all, nil
}

// completeSteps are what only a complete check looks at: each reads whole tables.
var completeSteps = []portfolioStep{
	{
		name: "register chains", kinds: []queries.IntegrityKind{queries.IntegrityKindRegisterBroken},
		look: func(ctx context.Context, q *queries.Queries) ([]found, error) {
			rows, err := q.ListBrokenRegisterEntries(ctx, checkFoundLimit)
			all := make([]found, len(rows))
			for i, r := range rows {
				all[i] = found{
					kind: queries.IntegrityKindRegisterBroken, loanID: r.LoanID,
					subject: fmt.Sprintf("chain %d entry %d", r.Chain, r.Entry), details: map[string]any{},
				}
			}
			return all, err
		},
	},
	{
		name: "totals", kinds: []queries.IntegrityKind{queries.IntegrityKindTrialBalance, queries.IntegrityKindControlTotal},
		look: lookAtTotals,
	},
	{
		name: "escrow files", kinds: []queries.IntegrityKind{queries.IntegrityKindDocumentChanged}, prefix: "escrow_files ",
		look: func(ctx context.Context, q *queries.Queries) ([]found, error) {
			ids, err := q.ListChangedEscrowFiles(ctx, checkFoundLimit)
			all := make([]found, len(ids))
			for i, id := range ids {
				all[i] = found{
					kind: queries.IntegrityKindDocumentChanged, subject: "escrow_files " + id.String(), details: map[string]any{},
				}
			}
			return all, err
		},
	},
}

// lookAtTotals compares the ledger's sums with nothing and with the loans' own.
func lookAtTotals(ctx context.Context, q *queries.Queries) ([]found, error) {
	t, err := q.GetLedgerTotals(ctx)
	if err != nil {
		return nil, err
	}
	var all []found
	if t.TrialBalanceCents != 0 {
		all = append(all, found{
			kind: queries.IntegrityKindTrialBalance, details: map[string]any{"balance_cents": t.TrialBalanceCents},
		})
	}
	for _, c := range []struct {
		name          string
		ledger, loans int64
	}{
		{"principal_cents", t.PrincipalCents, t.LoansPrincipalCents},
		{"escrow_cents", t.EscrowCents, t.LoansEscrowCents},
		{"escrow_advance_cents", t.EscrowAdvanceCents, t.LoansEscrowAdvanceCents},
		{"suspense_cents", t.SuspenseCents, t.LoansSuspenseCents},
		{"late_charges_due_cents", t.LateChargesDueCents, t.LoansLateChargesDueCents},
		{"fees_due_cents", t.FeesDueCents, t.LoansFeesDueCents},
	} {
		if c.ledger != c.loans {
			all = append(all, found{
				kind: queries.IntegrityKindControlTotal, subject: c.name,
				details: map[string]any{
					"ledger_cents": c.ledger, "loans_cents": c.loans, "difference_cents": mortgage.Cents(c.ledger - c.loans),
				},
			})
		}
	}
	return all, nil
}

// orphanStep looks for rows that name, by one foreign key, a row that does not exist.
func orphanStep(key string) portfolioStep {
	return portfolioStep{
		name: "orphans " + key, kinds: []queries.IntegrityKind{queries.IntegrityKindOrphan}, prefix: key + " ",
		look: func(ctx context.Context, q *queries.Queries) ([]found, error) {
			rows, err := q.ListOrphans(ctx, key, checkFoundLimit)
			if err != nil {
				return nil, err
			}
			all := make([]found, len(rows))
			for i, row := range rows {
				var details map[string]any
				var names struct {
					LoanID int64  `json:"loan_id"`
					Key    string `json:"key"`
				}
				if err := errors.Join(json.Unmarshal(row, &details), json.Unmarshal(row, &names)); err != nil {
					return nil, fmt.Errorf("read orphan: %w", err)
				}
				all[i] = found{
					kind: queries.IntegrityKindOrphan, loanID: names.LoanID,
					subject: clipped(key + " " + names.Key), details: details,
				}
			}
			return all, nil
		},
	}
}

// clipped shortens a subject to what is stored.
func clipped(s string) string {
	const most = 500
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

// stepsOf returns what a check looks at beside the loans one by one.
func stepsOf(ctx context.Context, q *queries.Queries, complete bool) ([]portfolioStep, error) {
	steps := []portfolioStep{registerStep}
	if !complete {
		return steps, nil
	}
	steps = append(steps, completeSteps...)
	keys, err := q.ListForeignKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list foreign keys: %w", err)
	}
	for _, key := range keys {
		steps = append(steps, orphanStep(key))
	}
	return steps, nil
}
