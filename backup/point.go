package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"loanserve/backup/internal/replication"
	"loanserve/internal/pgcluster"
)

// Point is a moment of a server's past: one of Time, XID and Latest.
type Point struct {
	// Time is the moment up to which transactions had committed.
	Time time.Time
	// XID is the last transaction that counts, or with Before the first that does not.
	XID    uint64
	Before bool
	// Latest is the end of the archive.
	Latest bool
}

// String says it in words.
func (p Point) String() string {
	switch {
	case p.Latest:
		return "the end of the archive"
	case p.XID != 0 && p.Before:
		return fmt.Sprintf("before transaction %d", p.XID)
	case p.XID != 0:
		return fmt.Sprintf("transaction %d", p.XID)
	default:
		return p.Time.UTC().Format(time.RFC3339Nano)
	}
}

var (
	// ErrNotReached is returned for a moment that the archive does not reach.
	ErrNotReached = errors.New("the archive ends before that point: nothing in it was committed then or later, " +
		"or no transaction of that number has ended; the end of the archive is reached as the latest")
	// ErrTooEarly is returned for a moment before any physical backup had ended.
	ErrTooEarly = errors.New("no physical backup in the store ended before that point")
	errNoPoint  = errors.New("a point is a time, a transaction, or the latest, and one of them only")
)

func (p Point) check() error {
	given := 0
	for _, is := range []bool{!p.Time.IsZero(), p.XID != 0, p.Latest} {
		if is {
			given++
		}
	}
	if given != 1 || p.Before && p.XID == 0 {
		return errNoPoint
	}
	return nil
}

// RestorePoint makes in dir, which must not exist or be empty, a data directory of
// the server as it was at a point: the newest physical backup that ended before
// it, and the WAL that followed. It returns that backup's manifest. The server that
// is started on the directory continues on a timeline of its own.
//
// A point that is not reached is an error (ErrNotReached, ErrTooEarly, GapError),
// and then, as with any other, nothing is left that a server starts on.
func RestorePoint(ctx context.Context, o RestoreOptions, p Point, dir string) (*Manifest, error) {
	cluster, m, err := o.restorePoint(ctx, p, dir, true)
	if err != nil {
		return nil, err
	}
	if err := cluster.Stop(); err != nil {
		return nil, stageError(StageRestore, errors.Join(err, clearDir(dir)))
	}
	return m, nil
}

// RestoreImage makes a server as RestorePoint does, to be looked at and thrown
// away: it returns it running. dir stays when the server is stopped.
func RestoreImage(ctx context.Context, o RestoreOptions, p Point, dir string) (*pgcluster.Cluster, error) {
	cluster, _, err := o.restorePoint(ctx, p, dir, false)
	return cluster, err
}

func (o *RestoreOptions) restorePoint(ctx context.Context, p Point, dir string, durable bool,
) (cluster *pgcluster.Cluster, m *Manifest, err error) {
	if err := p.check(); err != nil {
		return nil, nil, stageError(StageRestore, err)
	}
	if err := makeEmpty(dir); err != nil {
		return nil, nil, stageError(StageRestore, err)
	}
	candidates, err := p.candidates(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	for _, m = range candidates {
		cluster, err = o.recoverFrom(ctx, m, p, dir, durable)
		if err == nil {
			return cluster, m, nil
		}
		err = errors.Join(err, clearDir(dir))
		// Whether a transaction ended before the copy or after it is only seen by trying.
		if !errors.Is(err, ErrTooEarly) && (p.XID == 0 || !errors.Is(err, ErrNotReached)) {
			break
		}
	}
	return nil, nil, err
}

// candidates returns the backups that may lead to the point, the newest first. Of
// those that a transaction may have ended in there are two at most that are worth
// trying.
func (p Point) candidates(ctx context.Context, o *RestoreOptions) ([]*Manifest, error) {
	entries, err := List(ctx, o.Store)
	if err != nil {
		return nil, stageError(StageFetch, err)
	}
	var list []*Manifest
	for _, e := range slices.Backward(entries) {
		if e.Broken != "" || e.Manifest.Kind != Physical || e.Manifest.WAL == nil {
			continue
		}
		before, err := p.follows(e.Manifest)
		if err != nil {
			return nil, stageError(StageFetch, err)
		}
		if before {
			list = append(list, e.Manifest)
		}
	}
	if len(list) == 0 {
		return nil, stageError(StageFetch, ErrTooEarly)
	}
	const worthTrying = 2
	if !p.Time.IsZero() || p.Latest {
		return list, nil
	}
	return list[:min(len(list), worthTrying)], nil
}

// follows says whether the point may lie after the end of a backup. The clock that
// the backup was timed by need not be the server's: recovery finds out.
func (p Point) follows(m *Manifest) (bool, error) {
	switch {
	case p.Latest:
		return true, nil
	case !p.Time.IsZero():
		return !m.FinishedAt.After(p.Time), nil
	}
	ended, err := endedIn(m.Database.Snapshot, p.XID)
	if err != nil {
		return false, &BrokenError{What: "its manifest does not say which transactions had ended: " + err.Error()}
	}
	return !ended, nil
}

// endedIn says whether a transaction had ended when a snapshot was taken:
// xmin:xmax:those between that had not. A number of 32 bits, as the WAL has it, is
// taken for the one of 64 that is next to the snapshot's.
func endedIn(snapshot string, xid uint64) (bool, error) {
	const half, fields = uint64(1) << 31, 3
	parts := strings.Split(snapshot, ":")
	if len(parts) != fields {
		return false, fmt.Errorf("%q is no snapshot", snapshot)
	}
	xmin, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil {
		return false, fmt.Errorf("%q is no snapshot", snapshot)
	}
	xmax, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return false, fmt.Errorf("%q is no snapshot", snapshot)
	}
	if xid < 2*half {
		xid |= xmax &^ (2*half - 1)
		if xid > xmax+half && xid >= 2*half {
			xid -= 2 * half
		} else if xid+half < xmax {
			xid += 2 * half
		}
	}
	running := slices.Contains(strings.Split(parts[2], ","), strconv.FormatUint(xid, 10))
	return xid < xmin || xid < xmax && !running, nil
}

// recoverySignal is the file that has a server recover from an archive. It is there
// before anything else, so that what is left of a restore that was killed does not
// start as if it were a server's own.
const recoverySignal = "recovery.signal"

// recoverFrom restores a backup and has a private server replay the WAL after it
// up to the point.
func (o *RestoreOptions) recoverFrom(ctx context.Context, m *Manifest, p Point, dir string, durable bool,
) (*pgcluster.Cluster, error) {
	cov, chain, err := coverBackup(ctx, o.Store, m)
	if err != nil {
		return nil, stageOrBroken(StageFetch, err)
	}
	if p.Latest && cov.gap != nil {
		return nil, stageError(StageFetch, &GapError{Gap: *cov.gap})
	}
	if err := os.WriteFile(filepath.Join(dir, recoverySignal), nil, fileMode); err != nil {
		return nil, stageError(StageRestore, err)
	}
	if err := restoreFiles(ctx, *o, m, dir); err != nil {
		return nil, err
	}
	end, err := replication.ParseLSN(m.WAL.EndLSN)
	if err != nil {
		return nil, &BrokenError{What: "its manifest does not say where its WAL ends"}
	}
	var broken *BrokenError
	if cov.end > end { // Otherwise what the backup brought reaches further.
		if broken, err = o.layWAL(ctx, chain, cov, walBelow(dir)); err != nil {
			return nil, stageError(StageFetch, err)
		}
	}
	if broken != nil && p.Latest { // Other points may lie before it.
		return nil, broken
	}
	settings := maps.Clone(isolated)
	maps.Copy(settings, p.settings(cov.way[len(cov.way)-1].Timeline))
	cluster, err := pgcluster.Start(ctx, pgcluster.Options{Dir: dir, Durable: durable, Settings: settings})
	if err == nil && p.Latest && cov.end > end {
		if err := o.checkEnd(ctx, &cov, chain.facts.SegmentBytes, cluster); err != nil {
			return nil, errors.Join(err, cluster.Stop())
		}
	}
	if err == nil {
		return cluster, nil
	}
	err = whyStopped(err, cov.gap)
	if broken != nil && (errors.Is(err, ErrNotReached) || isGap(err)) {
		return nil, broken
	}
	return nil, stageError(StageRestore, err)
}

func isGap(err error) bool {
	_, ok := errors.AsType[*GapError](err)
	return ok
}

// settings are those that have a server recover up to the point and then become one
// of its own. The WAL is where the server keeps its own, so that nothing has to be
// fetched. Before it has arrived nobody gets in.
func (p Point) settings(timeline int) map[string]string {
	s := map[string]string{
		"restore_command": "false", "hot_standby": "off", "lc_messages": "C", "recovery_target_action": "promote",
		"recovery_target_timeline":  strconv.Itoa(timeline),
		"recovery_target_inclusive": strconv.FormatBool(!p.Before), "recovery_min_apply_delay": "0",
		"archive_cleanup_command": "", "recovery_end_command": "",
	}
	switch {
	case p.XID != 0:
		s["recovery_target_xid"] = strconv.FormatUint(uint64(uint32(p.XID)), 10)
	case !p.Time.IsZero():
		s["recovery_target_time"] = p.Time.UTC().Format("2006-01-02 15:04:05.999999-07")
	}
	return s
}

// whyStopped tells apart why a server did not arrive at the point. It says so in its
// log and nowhere else; the language there is set.
func whyStopped(err error, gap *WALGap) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "requested recovery stop point is before consistent recovery point"):
		return fmt.Errorf("%w: %w", ErrTooEarly, err)
	case strings.Contains(text, "recovery ended before configured recovery target was reached") && gap != nil:
		return fmt.Errorf("%w: %w", &GapError{Gap: *gap}, err)
	case strings.Contains(text, "recovery ended before configured recovery target was reached"):
		return fmt.Errorf("%w: %w", ErrNotReached, err)
	default:
		return err
	}
}
