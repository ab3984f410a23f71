package recovery

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Loans name the loans that are to come back: ids, and numbers as on the notes.
type Loans struct {
	IDs     []Range
	Numbers []string
}

// Range is the ids from the first to the last.
type Range struct{ First, Last int64 }

// ParseLoans reads a list such as 1-16,19,LS-1004: what is digits only, with one hyphen
// at most, is ids, and all else a loan number.
func ParseLoans(text string) (Loans, error) {
	var l Loans
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			return l, fmt.Errorf("%q names no loan between two commas", text)
		}
		if strings.Trim(part, "0123456789-") != "" || strings.Count(part, "-") > 1 {
			l.Numbers = append(l.Numbers, part)
			continue
		}
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		var r Range
		var err error
		if r.First, err = strconv.ParseInt(first, 10, 64); err == nil {
			r.Last, err = strconv.ParseInt(last, 10, 64)
		}
		if err != nil || r.First < 1 || r.Last < r.First {
			return l, fmt.Errorf("%q is no id and no range of ids such as 1-16", part)
		}
		l.IDs = append(l.IDs, r)
	}
	return l, nil
}

// String spells them as ParseLoans reads them; "" means all.
func (l *Loans) String() string {
	var all []string
	for _, r := range l.IDs {
		part := strconv.FormatInt(r.First, 10)
		if r.Last > r.First {
			part += "-" + strconv.FormatInt(r.Last, 10)
		}
		all = append(all, part)
	}
	return strings.Join(append(all, l.Numbers...), ",")
}

// none says whether no loan is named, which means all.
func (l *Loans) none() bool { return len(l.IDs) == 0 && len(l.Numbers) == 0 }

// condition is what rows fulfill that belong to a named loan, of the column with its
// id. The parameter is the ids of those that are named by number.
func (l *Loans) condition(column string) string {
	all := []string{}
	for _, r := range l.IDs {
		all = append(all, fmt.Sprintf("%s BETWEEN %d AND %d", column, r.First, r.Last))
	}
	return "(" + strings.Join(append(all, column+" = ANY ($1::bigint[])"), " OR ") + ")"
}

// loansTable is where loans are; rows of other tables hang on one by a foreign key, or
// by the column that names it.
const (
	loansTable    = "loans"
	loanColumn    = "loan_id"
	registerTable = "loan_register"
)

// Select chooses what is to come back: of the named loans, or all that was taken when
// none is named.
//
// A loan comes with the rows that hang on it, directly or by others, and then with
// those that they name and that were taken too, such as a borrower or a property. What
// else hangs on such a one is not the loan's, and does not come. The register of loans
// comes whole.
func (s *Salvage) Select(ctx context.Context, loans Loans) error {
	for _, name := range s.order {
		for _, temporary := range []string{gone(name), was(name)} {
			_, err := s.live.Exec(ctx, `UPDATE `+temporary+` SET `+selected+` = $1 WHERE `+selected+` <> $1`, loans.none())
			if err != nil {
				return fmt.Errorf("select rows: %w", err)
			}
		}
	}
	if s.loans = loans; !loans.none() {
		if err := s.selectLoans(ctx, loans); err != nil {
			return err
		}
	}
	return s.analyze(ctx)
}

// selectLoans selects what is of the named loans.
func (s *Salvage) selectLoans(ctx context.Context, loans Loans) error {
	ids, err := s.numbered(ctx, loans.Numbers)
	if err != nil {
		return err
	}
	for _, name := range s.order {
		of := loanColumn
		if name == loansTable {
			of = "id"
		}
		if !slices.Contains(s.found[name].columns, of) {
			continue
		}
		for _, temporary := range []string{gone(name), was(name)} {
			_, err := s.live.Exec(ctx, `UPDATE `+temporary+` SET `+selected+` = true WHERE `+loans.condition(quote(of)), ids)
			if err != nil {
				return fmt.Errorf("select rows of loans in %s: %w", name, err)
			}
		}
	}
	// An entry of the register says that a loan must be there, and seals the next one.
	if s.found[registerTable] != nil {
		if _, err := s.live.Exec(ctx, `UPDATE `+gone(registerTable)+` SET `+selected+` = true`); err != nil {
			return fmt.Errorf("select entries of the register: %w", err)
		}
	}
	if err := s.spread(ctx, false); err != nil {
		return err
	}
	return s.spread(ctx, true)
}

// numbered returns the ids of the loans with these numbers, gone or not.
func (s *Salvage) numbered(ctx context.Context, numbers []string) ([]int64, error) {
	ids := []int64{}
	for _, number := range numbers {
		sql := `SELECT id FROM public.loans WHERE loan_number = $1`
		if s.found[loansTable] != nil {
			sql += ` UNION SELECT id FROM ` + gone(loansTable) + ` WHERE loan_number = $1`
		}
		found, err := query(ctx, s.live, pgx.RowTo[int64], sql, number)
		if err != nil {
			return nil, fmt.Errorf("look for loan number: %w", err)
		}
		if len(found) == 0 {
			return nil, &UnknownLoanError{Number: number}
		}
		ids = append(ids, found...)
	}
	return ids, nil
}

// UnknownLoanError is returned for a loan number that no loan has or had.
type UnknownLoanError struct{ Number string }

// Error implements error.
func (e *UnknownLoanError) Error() string {
	return fmt.Sprintf("no loan has the number %s, neither among those that were deleted nor now", e.Number)
}

// spread selects deleted rows along the foreign keys until there are no more: those
// that name selected ones, or with up those that selected ones name.
func (s *Salvage) spread(ctx context.Context, up bool) error {
	// How many rows are selected changes all the time: the planner would expect none.
	if _, err := s.live.Exec(ctx, `SET enable_nestloop = off`); err != nil {
		return fmt.Errorf("plan for many rows: %w", err)
	}
	for more := true; more; {
		more = false
		for _, k := range s.schema.keys {
			if s.found[k.table] == nil || s.found[k.target] == nil {
				continue
			}
			from, fromColumns, to, toColumns := k.target, k.targetColumns, k.table, k.columns
			if up {
				from, fromColumns, to, toColumns = to, toColumns, from, fromColumns
			}
			tag, err := s.live.Exec(ctx, fmt.Sprintf(
				`UPDATE %[1]s t SET %[3]s = true FROM %[2]s f WHERE f.%[3]s AND NOT t.%[3]s AND %[4]s`,
				gone(to), gone(from), selected, same("t", toColumns, "f", fromColumns)))
			if err != nil {
				return fmt.Errorf("select rows along %s: %w", k.name, err)
			}
			more = more || tag.RowsAffected() > 0
		}
	}
	if _, err := s.live.Exec(ctx, `RESET enable_nestloop`); err != nil {
		return fmt.Errorf("plan for many rows: %w", err)
	}
	return nil
}
