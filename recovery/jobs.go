package recovery

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"loanserve/jobs"
)

// waitingJob is a job that was not done in the image and names rows that were taken.
// One that ran while they were gone found nothing to do, and is done for ever.
type waitingJob struct {
	id   int64
	args rawArgs
	opts river.InsertOpts
	keys []string // of rows, as its arguments name them
}

// rawArgs are the arguments of any kind of job, as they are stored.
type rawArgs struct {
	kind string
	text json.RawMessage
}

// Kind implements river.JobArgs.
func (a rawArgs) Kind() string { return a.kind }

// MarshalJSON implements json.Marshaler.
func (a rawArgs) MarshalJSON() ([]byte, error) { return a.text, nil }

// undone is the condition of jobs that are still to be worked.
const undone = `state NOT IN ('completed', 'cancelled', 'discarded')`

// collectJobs keeps the image's jobs that name rows that were taken.
func (s *Salvage) collectJobs(ctx context.Context, image *pgx.Conn) error {
	const sql = `SELECT id, kind, args, queue, max_attempts, priority FROM ` + jobs.Schema + `.river_job WHERE ` + undone +
		` ORDER BY id`
	rows, err := image.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("read jobs of the image: %w", err)
	}
	defer rows.Close()
	var next []waitingJob
	for rows.Next() {
		var j waitingJob
		err := rows.Scan(&j.id, &j.args.kind, &j.args.text, &j.opts.Queue, &j.opts.MaxAttempts, &j.opts.Priority)
		if err != nil {
			return fmt.Errorf("read jobs of the image: %w", err)
		}
		var args any
		if err := json.Unmarshal(j.args.text, &args); err != nil {
			return fmt.Errorf("read arguments of job %d: %w", j.id, err)
		}
		if j.keys = texts(args, nil); len(j.keys) == 0 {
			continue
		}
		if next = append(next, j); len(next) == batch {
			if err := s.keepJobs(ctx, next); err != nil {
				return err
			}
			next = nil
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read jobs of the image: %w", err)
	}
	return s.keepJobs(ctx, next)
}

// texts are all texts in a value of JSON: ids of rows are among them.
func texts(value any, all []string) []string {
	switch v := value.(type) {
	case string:
		return append(all, v)
	case []any:
		for _, of := range v {
			all = texts(of, all)
		}
	case map[string]any:
		for _, of := range v {
			all = texts(of, all)
		}
	}
	return all
}

// keepJobs keeps those that name rows that were taken, once.
func (s *Salvage) keepJobs(ctx context.Context, list []waitingJob) error {
	taken, err := s.taking(ctx, s.live, list, "")
	if err != nil {
		return err
	}
	for _, j := range taken {
		s.jobs[j.id] = j
	}
	return nil
}

// taking returns the jobs that name deleted rows that fulfill a condition.
func (s *Salvage) taking(ctx context.Context, q querier, list []waitingJob, condition string) ([]waitingJob, error) {
	var keys []string
	for _, j := range list {
		keys = append(keys, j.keys...)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	found := map[string]bool{}
	for _, name := range s.order {
		f := s.found[name]
		if c, _ := f.table.column(f.table.key[0]); len(f.table.key) != 1 || c.typ != "uuid" {
			continue
		}
		key := quote(f.table.key[0])
		some, err := query(ctx, q, pgx.RowTo[string],
			`SELECT `+key+`::text FROM `+gone(name)+` WHERE `+key+`::text = ANY ($1)`+condition, keys)
		if err != nil {
			return nil, fmt.Errorf("look for rows that jobs name: %w", err)
		}
		for _, key := range some {
			found[key] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(j waitingJob) bool {
		return !slices.ContainsFunc(j.keys, func(key string) bool { return found[key] })
	}), nil
}

// askAgain asks for the jobs that name selected rows and that do not wait any more, and
// returns how many those are. One too many does no harm: what it would do is done.
func (s *Salvage) askAgain(ctx context.Context, tx pgx.Tx) (int, error) {
	byID := func(a, b waitingJob) int { return cmp.Compare(a.id, b.id) }
	wanted, err := s.taking(ctx, tx, slices.SortedFunc(maps.Values(s.jobs), byID), ` AND `+selected)
	if err != nil || len(wanted) == 0 {
		return 0, err
	}
	ids := make([]int64, len(wanted))
	for i, j := range wanted {
		ids[i] = j.id
	}
	waiting, err := query(ctx, tx, pgx.RowTo[int64],
		`SELECT id FROM `+jobs.Schema+`.river_job WHERE id = ANY ($1) AND `+undone, ids)
	if err != nil {
		return 0, fmt.Errorf("look for jobs that wait: %w", err)
	}
	var again []river.InsertManyParams
	for _, j := range wanted {
		if !slices.Contains(waiting, j.id) {
			again = append(again, river.InsertManyParams{Args: j.args, InsertOpts: &j.opts})
		}
	}
	if len(again) == 0 {
		return 0, nil
	}
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{Schema: jobs.Schema})
	if err != nil {
		return 0, fmt.Errorf("open queue: %w", err)
	}
	if _, err := client.InsertManyTx(ctx, tx, again); err != nil {
		return 0, fmt.Errorf("ask for jobs again: %w", err)
	}
	return len(again), nil
}
