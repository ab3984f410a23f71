package recovery

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// ErrUnproven is returned where what was put back is not what the image holds, or where
// the books of the loans are not in order with it. Nothing was changed.
var ErrUnproven = errors.New("what was put back is not in order, so all of it was taken back")

// prove compares what was written with the image, and checks the loans' books.
func (s *Salvage) prove(ctx context.Context, tx pgx.Tx, p *Plan, earlier queries.CountFaultsOfLoansRow) error {
	after, err := s.plan(ctx, tx)
	if err != nil {
		return fmt.Errorf("compare what was put back: %w", err)
	}
	if !after.Empty() || len(after.Conflicts) > 0 {
		return fmt.Errorf("%w: rows differ from the image: %+v", ErrUnproven, after.Conflicts)
	}
	for i, t := range after.Tables {
		if t.Present != p.Tables[i].Present+p.Tables[i].Insert {
			return fmt.Errorf("%w: table %s has %d of the rows, and not %d",
				ErrUnproven, t.Table, t.Present, p.Tables[i].Present+p.Tables[i].Insert)
		}
	}
	return s.proveBooks(ctx, tx, p, earlier)
}

// proveBooks checks the books of the loans that came back. What was wrong in the image
// already is not the recovery's fault, and the loan is better there than gone; neither
// is what of the whole portfolio was wrong earlier.
func (s *Salvage) proveBooks(ctx context.Context, tx pgx.Tx, p *Plan, earlier queries.CountFaultsOfLoansRow) error {
	if len(p.Loans) == 0 {
		return nil
	}
	image, err := connect(ctx, s.image)
	if err != nil {
		return err
	}
	defer image.Close(context.WithoutCancel(ctx))
	if _, err := image.Exec(ctx, `SET search_path = public`); err != nil {
		return fmt.Errorf("look into the image: %w", err)
	}
	before, err := queries.New(image).CountFaultsOfLoans(ctx, p.loanIDs())
	if err != nil {
		return fmt.Errorf("check books of the image: %w", err)
	}
	now, err := queries.New(tx).CountFaultsOfLoans(ctx, p.loanIDs())
	if err != nil {
		return fmt.Errorf("check books: %w", err)
	}
	worse := now.Missing > 0 || now.BrokenSeals > before.BrokenSeals || now.Unreconciled > before.Unreconciled ||
		now.ChangedTerms > before.ChangedTerms || now.Unregistered > before.Unregistered ||
		now.BrokenRegisterEntries > max(before.BrokenRegisterEntries, earlier.BrokenRegisterEntries) ||
		now.ImbalanceCents != 0 && now.ImbalanceCents != before.ImbalanceCents && now.ImbalanceCents != earlier.ImbalanceCents
	if worse {
		return fmt.Errorf("%w: the books have %+v, and had %+v in the image", ErrUnproven, now, before)
	}
	return nil
}
