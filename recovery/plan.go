package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"loanserve/queries"
)

// Plan is what a merge would do, and what stands in its way.
type Plan struct {
	// Loans are those that come back, in order of id.
	Loans     []Loan      `json:"loans"`
	Tables    []TablePlan `json:"tables"`
	Conflicts []Conflict  `json:"conflicts"`
	// LeftAlone are tables that were not looked into.
	LeftAlone []LeftAlone `json:"left_alone"`
	// JobsAgain is, after a merge, how many jobs were asked for again that were not done
	// when the rows were taken, and that found nothing to do while they were gone.
	JobsAgain int `json:"jobs_asked_again"`
	// RecoveredAt is when the same was put back before, where it was.
	RecoveredAt *time.Time `json:"recovered_at,omitempty"`
}

// Loan is a loan that comes back.
type Loan struct {
	ID     int64  `json:"loan_id"`
	Number string `json:"loan_number"`
}

// TablePlan is what a merge would do to one table.
type TablePlan struct {
	Table string `json:"table"`
	// Insert is how many deleted rows come back.
	Insert int64 `json:"insert"`
	// Present are those that are there again, as they were.
	Present int64 `json:"present"`
	// SetBack are rows that were changed and become what they were, in the columns.
	SetBack int64    `json:"set_back"`
	Columns []string `json:"columns"`
	// Kept are references that were set to null and that somebody has set again since.
	Kept int64 `json:"kept"`
	// Left are rows that were deleted or changed and belong to no named loan.
	Left int64 `json:"left"`
	// Added are rows that the transaction wrote; they stay.
	Added int64 `json:"added"`
}

// Empty says whether there is nothing to do.
func (p *Plan) Empty() bool {
	return !slices.ContainsFunc(p.Tables, func(t TablePlan) bool { return t.Insert > 0 || t.SetBack > 0 })
}

// Rows is how many rows come back, and how many become what they were.
func (p *Plan) Rows() (inserted, setBack int64) {
	for _, t := range p.Tables {
		inserted, setBack = inserted+t.Insert, setBack+t.SetBack
	}
	return inserted, setBack
}

// ConflictKind says what stands in the way.
type ConflictKind string

// What can stand in the way.
const (
	// ConflictAlive is a row with the same key that holds something else.
	ConflictAlive ConflictKind = "alive"
	// ConflictUnique is another row that has a value that must be unique.
	ConflictUnique ConflictKind = "unique"
	// ConflictReference is a row that would be named and is not there.
	ConflictReference ConflictKind = "reference"
	// ConflictChanged is a row that the transaction changed, and somebody else since.
	ConflictChanged ConflictKind = "changed"
	// ConflictSchema is a table or a column that is not there any more.
	ConflictSchema ConflictKind = "schema"
)

// Conflict is what stands in the way of rows of one table.
type Conflict struct {
	Kind  ConflictKind `json:"kind"`
	Table string       `json:"table"`
	// What is the constraint, the columns or the sentence that says more.
	What  string   `json:"what"`
	Count int64    `json:"count"`
	Keys  []string `json:"keys"` // of the rows, at most maxKeys
}

// maxKeys is how many keys of a conflict are named.
const maxKeys = 20

// Plan compares what was selected with the database as it is now.
func (s *Salvage) Plan(ctx context.Context) (*Plan, error) {
	return s.plan(ctx, s.live)
}

func (s *Salvage) plan(ctx context.Context, q querier) (*Plan, error) {
	p := &Plan{Loans: []Loan{}, Tables: []TablePlan{}, Conflicts: []Conflict{}, LeftAlone: s.now.leftAlone}
	for _, name := range s.order {
		t, err := s.planTable(ctx, q, p, s.found[name])
		if err != nil {
			return nil, fmt.Errorf("plan table %s: %w", name, err)
		}
		p.Tables = append(p.Tables, t)
	}
	if f := s.found[loansTable]; f != nil && s.insertable(f) {
		var err error
		p.Loans, err = query(ctx, q, pgx.RowToStructByPos[Loan],
			`SELECT g.id, g.loan_number FROM `+s.missing(f)+` ORDER BY g.id`)
		if err != nil {
			return nil, fmt.Errorf("list loans: %w", err)
		}
	}
	return p, s.forgive(ctx, q, p)
}

// forgive takes what stands in the way for what was written since, where nothing is
// left to insert and the same was brought back before.
func (s *Salvage) forgive(ctx context.Context, q querier, p *Plan) error {
	written := func(c Conflict) bool { return c.Kind == ConflictAlive || c.Kind == ConflictChanged }
	if !p.Empty() || slices.ContainsFunc(p.Conflicts, func(c Conflict) bool { return !written(c) }) {
		return nil
	}
	xids, err := json.Marshal(s.Origin.XIDs)
	if err != nil {
		return fmt.Errorf("write transactions: %w", err)
	}
	times, err := queries.New(q).ListRecoveries(ctx, queries.ListRecoveriesParams{
		Xids: xids, Loans: s.loans.String(), RowLimit: 1,
	})
	if err != nil {
		return fmt.Errorf("look for earlier recoveries: %w", err)
	}
	if len(times) > 0 {
		at := times[0].UTC()
		p.RecoveredAt, p.Conflicts = &at, []Conflict{}
	}
	return nil
}

// insertable says whether the table is there with its key.
func (s *Salvage) insertable(f *found) bool {
	now := s.now.tables[f.table.name]
	return now != nil && slices.Equal(now.key, f.table.key)
}

// writable are the columns that were kept and that are there.
func (s *Salvage) writable(f *found) (columns, lost []string) {
	now := s.now.tables[f.table.name]
	for _, name := range f.columns {
		if c, ok := now.column(name); ok && !c.generated {
			columns = append(columns, name)
		} else {
			lost = append(lost, name)
		}
	}
	return columns, lost
}

// missing are the selected rows, as g, that are not there.
func (s *Salvage) missing(f *found) string {
	return fmt.Sprintf(`%s g WHERE g.%s AND NOT EXISTS (SELECT FROM public.%s l WHERE %s)`,
		gone(f.table.name), selected, quote(f.table.name), same("l", f.table.key, "g", f.table.key))
}

func (s *Salvage) planTable(ctx context.Context, q querier, p *Plan, f *found) (TablePlan, error) {
	name := f.table.name
	t := TablePlan{Table: name, Added: f.inserted, Columns: []string{}}
	var chosen int64
	err := q.QueryRow(ctx, fmt.Sprintf(`
SELECT (SELECT count(*) FROM %[1]s WHERE NOT %[3]s) + (SELECT count(*) FROM %[2]s WHERE NOT %[3]s),
  (SELECT count(*) FROM %[1]s WHERE %[3]s) + (SELECT count(*) FROM %[2]s WHERE %[3]s)`,
		gone(name), was(name), selected)).
		Scan(&t.Left, &chosen)
	if err != nil {
		return t, err
	}
	if !s.insertable(f) {
		if chosen > 0 {
			p.Conflicts = append(p.Conflicts, Conflict{
				Kind: ConflictSchema, Table: name, Count: chosen, Keys: []string{},
				What: "the table, or its primary key, is not there any more",
			})
		}
		return t, nil
	}
	columns, lost := s.writable(f)
	if len(lost) > 0 && chosen > 0 {
		p.Conflicts = append(p.Conflicts, Conflict{
			Kind: ConflictSchema, Table: name, Count: chosen, Keys: []string{},
			What: "columns are not there any more: " + list(lost, "", ""),
		})
		return t, nil
	}
	err = q.QueryRow(ctx, fmt.Sprintf(`
SELECT (SELECT count(*) FROM %s),
  (SELECT count(*) FROM %s g JOIN public.%s l ON %s WHERE g.%s AND %s)`, s.missing(f),
		gone(name), quote(name), same("l", f.table.key, "g", f.table.key), selected, alike(columns, "l", "g"))).
		Scan(&t.Insert, &t.Present)
	if err == nil {
		err = s.findConflicts(ctx, q, p, f, columns)
	}
	if err == nil {
		err = s.planChanges(ctx, q, p, f, &t)
	}
	return t, err
}
