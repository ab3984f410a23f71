package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"loanserve/jobs"
	"loanserve/queries"
)

// ErrConflicts is returned where something stands in the way. Nothing was changed.
var ErrConflicts = errors.New("what was written since stands in the way; nothing was changed")

// Merge puts back what was selected, in one transaction, and returns what it did.
// Foreign keys are checked and guards stay on. Before it commits every row is compared
// with the image, and the books of the loans are checked; whatever is not as it has to
// be takes all of it back. The image before must be up still.
func (s *Salvage) Merge(ctx context.Context) (*Plan, error) {
	var done *Plan
	err := pgx.BeginFunc(ctx, s.live, func(tx pgx.Tx) (err error) {
		done, err = s.merge(ctx, tx)
		return err
	})
	return done, err
}

func (s *Salvage) merge(ctx context.Context, tx pgx.Tx) (*Plan, error) {
	q := queries.New(tx)
	if err := q.LockRecovery(ctx); err != nil {
		return nil, fmt.Errorf("wait for other recoveries: %w", err)
	}
	p, err := s.plan(ctx, tx)
	if err != nil {
		return nil, err
	}
	if len(p.Conflicts) > 0 {
		return p, ErrConflicts
	}
	if p.Empty() {
		return p, nil
	}
	earlier, err := q.CountFaultsOfLoans(ctx, p.loanIDs())
	if err != nil {
		return nil, fmt.Errorf("check books: %w", err)
	}
	if err := s.write(ctx, tx, p); err != nil {
		return nil, err
	}
	// What waits for the commit is looked at now: whether a loan is registered twice.
	if _, err := tx.Exec(ctx, `SET CONSTRAINTS ALL IMMEDIATE`); err != nil {
		return nil, fmt.Errorf("check constraints: %w", err)
	}
	if err := s.prove(ctx, tx, p, earlier); err != nil {
		return nil, err
	}
	if p.JobsAgain, err = s.askAgain(ctx, tx); err != nil {
		return nil, err
	}
	return p, s.tell(ctx, q, p)
}

// write inserts, sets back and moves sequences on.
func (s *Salvage) write(ctx context.Context, tx pgx.Tx, p *Plan) error {
	order, err := s.insertOrder(ctx, tx, p)
	if err != nil {
		return err
	}
	_, most := p.Rows()
	if err := jobs.AllowRows(ctx, queries.New(tx), int(most)); err != nil {
		return err
	}
	for _, name := range order {
		if err := s.insert(ctx, tx, s.found[name]); err != nil {
			return fmt.Errorf("insert into %s: %w", name, err)
		}
	}
	for _, t := range p.Tables {
		if t.SetBack == 0 {
			continue
		}
		units, err := s.units(ctx, tx, s.found[t.Table])
		if err != nil {
			return err
		}
		for _, u := range units {
			if _, err := s.setBack(ctx, tx, s.found[t.Table], u); err != nil {
				return fmt.Errorf("set back rows of %s: %w", t.Table, err)
			}
		}
	}
	return nil
}

// insert puts back the missing rows of a table, and moves its sequences on where they
// stand behind them.
func (s *Salvage) insert(ctx context.Context, tx pgx.Tx, f *found) error {
	columns, _ := s.writable(f)
	_, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO public.%s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s`,
		quote(f.table.name), list(columns, "", ""), list(columns, "g.", ""), s.missing(f)))
	if err != nil {
		return err
	}
	for _, c := range columns {
		var sequence *string
		err := tx.QueryRow(ctx, `SELECT pg_get_serial_sequence($1, $2)`, "public."+quote(f.table.name), c).Scan(&sequence)
		if err == nil && sequence != nil {
			_, err = tx.Exec(ctx, fmt.Sprintf(`
SELECT setval($1::text::regclass, most) FROM (SELECT max(%s) AS most FROM %s WHERE %s) g, %s q
WHERE g.most > q.last_value OR g.most = q.last_value AND NOT q.is_called`,
				quote(c), gone(f.table.name), selected, *sequence), *sequence)
		}
		if err != nil {
			return fmt.Errorf("move sequence of %s on: %w", c, err)
		}
	}
	return nil
}

// CircleError is returned where tables name each other in a circle, so that none can be
// filled first.
type CircleError struct{ Tables []string }

// Error implements error.
func (e *CircleError) Error() string {
	return fmt.Sprintf("the tables %v name each other in a circle, and their foreign keys cannot be deferred", e.Tables)
}

// insertOrder returns the tables to insert into, each after those that it names. Where
// they name each other in a circle, the keys that can be are checked at the end.
func (s *Salvage) insertOrder(ctx context.Context, tx pgx.Tx, p *Plan) ([]string, error) {
	var waiting, order []string
	for _, t := range p.Tables {
		if t.Insert > 0 {
			waiting = append(waiting, t.Table)
		}
	}
	deferred := false
	for len(waiting) > 0 {
		next := slices.IndexFunc(waiting, func(name string) bool {
			return !slices.ContainsFunc(s.now.keys, func(k foreignKey) bool {
				return k.table == name && k.target != name && slices.Contains(waiting, k.target) && (!deferred || !k.deferrable)
			})
		})
		switch {
		case next >= 0:
			order = append(order, waiting[next])
			waiting = slices.Delete(waiting, next, next+1)
		case deferred:
			return nil, &CircleError{Tables: waiting}
		default:
			deferred = true
			if _, err := tx.Exec(ctx, `SET CONSTRAINTS ALL DEFERRED`); err != nil {
				return nil, fmt.Errorf("defer constraints: %w", err)
			}
		}
	}
	return order, nil
}

// tell writes to the audit trail who brought back what.
func (s *Salvage) tell(ctx context.Context, q *queries.Queries, p *Plan) error {
	rows := map[string]map[string]int64{}
	for _, t := range p.Tables {
		if t.Insert > 0 || t.SetBack > 0 {
			rows[t.Table] = map[string]int64{"inserted": t.Insert, "set_back": t.SetBack}
		}
	}
	details, err := json.Marshal(map[string]any{
		"xids": s.Origin.XIDs, "loans": s.loans.String(), "loan_ids": p.loanIDs(), "rows": rows, "jobs": p.JobsAgain,
	})
	if err != nil {
		return fmt.Errorf("write details of event: %w", err)
	}
	err = q.InsertAuthEvent(ctx, queries.InsertAuthEventParams{
		Kind: "rows_recovered", Actor: s.Origin.Actor, ActorName: s.Origin.ActorName, ActorUserID: nil,
		Target: nil, TargetName: nil, TargetUserID: nil, Ip: nil, RequestID: nil, Details: details,
	})
	if err != nil {
		return fmt.Errorf("tell the audit trail: %w", err)
	}
	return nil
}

// loanIDs are the ids of the loans that come back.
func (p *Plan) loanIDs() []int64 {
	ids := make([]int64, len(p.Loans))
	for i, l := range p.Loans {
		ids[i] = l.ID
	}
	return ids
}
