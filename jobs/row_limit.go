package jobs

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"loanserve/queries"
)

const (
	// freeRows is how many rows any statement may change: the database's default.
	freeRows = 10
	// EveryRow is for a statement that changes as many rows as there are.
	EveryRow = math.MaxInt32
)

// AllowRows lets the statements that follow in the transaction change so many rows
// each. The database refuses one that changes more, so that a condition that was
// forgotten does no harm. It is called with the number that is meant, right before
// the statement; up to freeRows it costs nothing.
func AllowRows(ctx context.Context, q *queries.Queries, rows int) error {
	if rows <= freeRows {
		return nil
	}
	if err := q.SetMaxRows(ctx, strconv.Itoa(rows)); err != nil {
		return fmt.Errorf("raise limit of rows: %w", err)
	}
	return nil
}
