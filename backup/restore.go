package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"loanserve/backup/store"
	"loanserve/internal/pgcluster"
)

// RestoreOptions say what to restore, and with what.
type RestoreOptions struct {
	Store      store.Store
	Identities []age.Identity
	// Scratch is where to keep what is only needed meanwhile; "" is the system's
	// directory for temporary files. A logical backup needs there as much room as
	// the unpacked dump takes.
	Scratch string
	// Progress, if there is one, is told how many bytes were unpacked, and of how
	// many; 0 where that is not known.
	Progress func(done, total int64)
}

func (o *RestoreOptions) report(done, total int64) {
	if o.Progress != nil {
		o.Progress(done, total)
	}
}

// ErrNotEmpty is returned for a target that holds something.
var ErrNotEmpty = errors.New("is not empty, and nothing is restored over what is there")

// RestoreDir makes of a backup a data directory that a PostgreSQL server of the
// right version can be started on. dir must not exist or be empty. Of a logical
// backup it makes a new server's with the one database in it.
//
// When it fails it leaves dir as it was, or at least without what a server starts
// on. Where the backup is not what its manifest says, the error is a BrokenError.
func RestoreDir(ctx context.Context, o RestoreOptions, m *Manifest, dir string) (err error) {
	if err := makeEmpty(dir); err != nil {
		return stageError(StageRestore, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clearDir(dir))
		}
	}()
	if m.Kind == Physical {
		return restoreFiles(ctx, o, m, dir)
	}
	cluster, err := restoreCluster(ctx, o, m, dir, true)
	if err != nil {
		return err
	}
	return stageError(StageRestore, cluster.Stop())
}

// makeEmpty creates the directory, or sees that there is nothing in it.
func makeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, dirMode)
	}
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("directory %s %w", dir, ErrNotEmpty)
	}
	return err
}

// clearDir removes what is in a directory that was empty.
func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}

// restoreFiles unpacks a physical backup.
func restoreFiles(ctx context.Context, o RestoreOptions, m *Manifest, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return stageError(StageRestore, fmt.Errorf("open directory: %w", err))
	}
	defer root.Close()
	base, err := m.object(baseObject)
	if err != nil {
		return err
	}
	listed, err := m.object(filesObject)
	if err != nil {
		return err
	}
	x := &extraction{root: root, files: map[string]extracted{}}
	x.progress = func(done int64) { o.report(done, 0) }
	if err := o.read(ctx, m, base, x.unpack); err != nil {
		return stageOrBroken(StageRestore, err)
	}
	var list []byte
	err = o.read(ctx, m, listed, func(r io.Reader) (err error) {
		list, err = io.ReadAll(r)
		return err
	})
	if err == nil {
		err = x.compare(list)
	}
	if err == nil {
		err = x.finish(list)
	}
	return stageOrBroken(StageRestore, err)
}

// read hands over the content of an object.
func (o *RestoreOptions) read(ctx context.Context, m *Manifest, object Object, take func(io.Reader) error) error {
	f, err := fetch(ctx, o.Store, m.ID, object, o.Identities)
	if err != nil {
		return err
	}
	defer f.Close()
	return take(f)
}

// stageOrBroken says where an error happened, unless it is the backup's fault.
func stageOrBroken(stage Stage, err error) error {
	if broken, ok := errors.AsType[*BrokenError](err); ok {
		return broken
	}
	return stageError(stage, err)
}

// RestoreDatabase restores a logical backup into an empty database, in one
// transaction. The login must be a superuser or the owner of the database who may
// create roles; roles that are missing are created without a right to log in.
func RestoreDatabase(ctx context.Context, o RestoreOptions, m *Manifest, url string) error {
	if m.Kind != Logical {
		return stageError(StageRestore, errors.New(
			"a physical backup is of a whole server: restore it into a directory, or restore a logical one"))
	}
	conn, err := connect(ctx, url)
	if err != nil {
		return stageError(StageConnect, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := checkEmpty(ctx, conn); err != nil {
		return stageError(StageRestore, err)
	}
	dir, remove, err := pgcluster.Scratch(ctx, o.Scratch)
	if err != nil {
		return stageError(StageRestore, err)
	}
	file := filepath.Join(dir, "dump")
	if err = o.spool(ctx, m, file); err == nil {
		err = restoreDump(ctx, m, dump{url: url, file: file, args: []string{"--single-transaction"}, conn: conn})
	}
	return errors.Join(err, remove())
}

// checkEmpty refuses a database in which somebody has made something.
func checkEmpty(ctx context.Context, conn *pgx.Conn) error {
	var name string
	var things int
	err := conn.QueryRow(ctx, `
SELECT current_database(), (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)')
 + (SELECT count(*) FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)')
 + (SELECT count(*) FROM pg_namespace WHERE nspname NOT IN ('public', 'information_schema') AND nspname !~ '^pg_')`).
		Scan(&name, &things)
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	if things > 0 {
		return fmt.Errorf("database %s %w", name, ErrNotEmpty)
	}
	return nil
}

// dump is a logical backup on its way into a database.
type dump struct {
	url  string
	file string // where it is kept meanwhile: pg_restore wants to seek in it
	args []string
	conn *pgx.Conn
}

// restoreDump restores into an empty database.
func restoreDump(ctx context.Context, m *Manifest, d dump) error {
	programs, err := pgcluster.Provision(ctx, nil)
	if err != nil {
		return stageError(StageRestore, fmt.Errorf("find pg_restore: %w", err))
	}
	for _, role := range m.Database.Roles {
		if err := createRole(ctx, d.conn, role); err != nil {
			return stageError(StageRestore, err)
		}
	}
	args := append([]string{"--exit-on-error", "--no-password"}, d.args...)
	err = runClient(ctx, programs, d.url, nil, io.Discard, "pg_restore", append(args, d.file)...)
	return stageError(StageRestore, err)
}

// spool writes the dump to a file. Nothing of it goes into a database before all
// of it has come and its checksum is right.
func (o *RestoreOptions) spool(ctx context.Context, m *Manifest, file string) error {
	object, err := m.object(dumpObject)
	if err != nil {
		return err
	}
	err = o.read(ctx, m, object, func(r io.Reader) error {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if err != nil {
			return err
		}
		_, err = io.Copy(&reporting{w: f, total: object.ContentBytes, report: o.report}, r)
		return errors.Join(err, f.Close())
	})
	return stageOrBroken(StageFetch, err)
}

// createRole creates a role that the dump gives rights to, unless it exists.
func createRole(ctx context.Context, conn *pgx.Conn, role string) error {
	_, err := conn.Exec(ctx, `CREATE ROLE `+pgx.Identifier{role}.Sanitize()+` NOLOGIN NOINHERIT`)
	const duplicate = "42710"
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == duplicate {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create role %s: %w", role, err)
	}
	return nil
}

// restoreCluster makes a private server of a backup in the empty directory dir,
// and returns it running. A durable one is to be kept.
func restoreCluster(ctx context.Context, o RestoreOptions, m *Manifest, dir string, durable bool,
) (*pgcluster.Cluster, error) {
	file := dir + ".dump"
	if m.Kind == Physical {
		if err := restoreFiles(ctx, o, m, dir); err != nil {
			return nil, err
		}
	} else {
		defer os.Remove(file)
		if err := o.spool(ctx, m, file); err != nil {
			return nil, err
		}
	}
	options := pgcluster.Options{Dir: dir, Durable: durable, Settings: isolated, Yields: !durable}
	if m.Kind == Logical {
		// One of the same version shows its catalog in the same words.
		if same, err := pgcluster.FindMajor(m.Database.Major()); err == nil {
			options.Binaries = same
		} else if options.Binaries, err = pgcluster.Provision(ctx, nil); err != nil {
			return nil, stageError(StageRestore, err)
		}
	}
	cluster, err := pgcluster.Start(ctx, options)
	if err != nil {
		return nil, stageError(StageRestore, err)
	}
	if m.Kind == Physical {
		return cluster, nil
	}
	if err := fillCluster(ctx, m, cluster, file); err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	return cluster, nil
}

// isolated are settings for a copy of somebody else's server: nothing of what ALTER
// SYSTEM said there may reach out from here.
var isolated = map[string]string{
	"archive_mode": "off", "archive_command": "", "restore_command": "", "primary_conninfo": "",
	"primary_slot_name": "", "shared_preload_libraries": "", "synchronous_standby_names": "",
	"session_preload_libraries": "", "local_preload_libraries": "", "ssl": "off",
}

// fillCluster restores a dump into a new server.
func fillCluster(ctx context.Context, m *Manifest, cluster *pgcluster.Cluster, file string) error {
	admin, err := connect(ctx, cluster.URL("postgres"))
	if err != nil {
		return stageError(StageRestore, err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	if err := createDatabase(ctx, admin, m.Database); err != nil {
		return stageError(StageRestore, err)
	}
	return restoreDump(ctx, m, dump{
		url: cluster.URL(m.Database.Name), file: file, args: []string{"--jobs=" + strconv.Itoa(restoreJobs)}, conn: admin,
	})
}

// restoreJobs is how many tables are restored at the same time.
const restoreJobs = 2

// createDatabase creates the database of the backup, by its own rules of sorting
// where this machine knows them.
func createDatabase(ctx context.Context, admin *pgx.Conn, d Database) error {
	if d.Name == "postgres" { // It exists, and is as empty as a new one.
		return nil
	}
	create := `CREATE DATABASE ` + pgx.Identifier{d.Name}.Sanitize() + ` TEMPLATE template0 ENCODING ` + quote(d.Encoding)
	_, err := admin.Exec(ctx, create+` LC_COLLATE `+quote(d.Collate)+` LC_CTYPE `+quote(d.CType))
	const wrongObjectType, undefinedObject, invalid = "42809", "42704", "22023"
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	if ok && (refusal.Code == wrongObjectType || refusal.Code == undefinedObject || refusal.Code == invalid) {
		_, err = admin.Exec(ctx, create)
	}
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return nil
}

// quote makes a literal of SQL.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
