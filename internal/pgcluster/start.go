package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// start does the work of Start. What it has built when it fails is for discard.
func (c *Cluster) start(ctx context.Context, o Options) error {
	if o.Dir != "" {
		attached, err := c.claim(ctx, o.Dir)
		if err != nil {
			return err
		}
		if attached {
			return c.lock.Close()
		}
	}
	if err := c.makeTemps(ctx, o); err != nil {
		return err
	}
	if o.Template != "" {
		if !c.temporary {
			return errors.New("a template is for a server without a directory")
		}
		if err := os.CopyFS(c.data, os.DirFS(o.Template)); err != nil {
			return fmt.Errorf("copy template: %w", err)
		}
	}
	major, err := dataVersion(c.data)
	if err != nil {
		return err
	}
	b, err := programs(o.Binaries, major, c.data)
	if err != nil {
		return err
	}
	a, err := accountFor(c.data)
	if err != nil {
		return err
	}
	// From here on things change.
	if err := a.own(c.data); err != nil {
		return fmt.Errorf("take over data directory: %w", err)
	}
	if major == 0 {
		if err := initialize(ctx, b, a, c.data, o.Durable, c.locks()); err != nil {
			return err
		}
	}
	return c.run(ctx, b, a, o)
}

// claim locks the data directory dir, which it creates if it is missing, or
// attaches to the server of whoever has locked it. Until that server is ready,
// or gone, it waits.
func (c *Cluster) claim(ctx context.Context, dir string) (attached bool, err error) {
	if c.data, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(c.data), 0o755); err != nil {
		return false, fmt.Errorf("create parent of data directory: %w", err)
	}
	if err := os.Mkdir(c.data, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("create data directory: %w", err)
	}
	resolved, err := filepath.EvalSymlinks(c.data)
	if err != nil {
		return false, fmt.Errorf("resolve data directory: %w", err)
	}
	c.data = resolved
	if c.lock, err = openDir(c.data); err != nil {
		return false, fmt.Errorf("open data directory: %w", err)
	}
	for wait := newBackoff(); ; {
		err := tryLock(c.lock)
		if !errors.Is(err, errLocked) {
			return false, err
		}
		if c.socketDir = servedAt(c.data); c.socketDir != "" {
			pending, err := c.ping(ctx)
			if err == nil {
				return true, nil
			}
			if !pending {
				return false, fmt.Errorf("connect to the server on %s: %w", c.data, err)
			}
		}
		if err := wait.next(ctx); err != nil {
			return false, fmt.Errorf("wait for the process that has locked %s: %w", c.data, err)
		}
	}
}

// makeTemps creates the directory of sockets and configuration, and that of
// the data if it is to be temporary. Mostly the two are one.
func (c *Cluster) makeTemps(ctx context.Context, o Options) error {
	base := tempBase(o.Durable || o.Dir != "")
	short := base
	if !fitsSocket(base) {
		short = shortBase
	}
	run, err := newTempDir(ctx, short)
	if err != nil {
		return err
	}
	c.temps = append(c.temps, run)
	if o.Dir != "" {
		return nil
	}
	home := run
	if short != base {
		if home, err = newTempDir(ctx, base); err != nil {
			return err
		}
		c.temps = append(c.temps, home)
	}
	c.temporary = true
	c.data = filepath.Join(home.path, "data")
	return os.Mkdir(c.data, 0o700)
}

// run starts the server on the initialized data directory.
func (c *Cluster) run(ctx context.Context, b Binaries, a account, o Options) error {
	dir := c.temps[0].path
	if err := c.configure(dir, a, o.Durable); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := c.openLog(a); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	// Not bound to ctx: the server outlives the start.
	cmd := a.command(context.WithoutCancel(ctx), b, "postgres", arguments(c.data, dir, o.Settings)...)
	var err error
	if c.server, err = launch(cmd, c.log, c.locks()); err != nil {
		return fmt.Errorf("run postgres: %w", err)
	}
	if o.Yields { // Its children are started later, and take after it.
		Yield(c.server.process)
	}
	return c.awaitReady(ctx)
}

// locks are what children that use the directories inherit.
func (c *Cluster) locks() []*os.File {
	var locks []*os.File
	for _, t := range c.temps {
		locks = append(locks, t.lock)
	}
	if c.lock != nil {
		locks = append(locks, c.lock)
	}
	return locks
}

func (c *Cluster) configure(dir string, a account, durable bool) error {
	config := defaults
	if !durable {
		config += volatile
	}
	for path, text := range map[string]string{configPath(dir): config, accessPath(dir): access, identPath(dir): ""} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o644); err != nil { // Despite a strict umask.
			return err
		}
	}
	c.socketDir = socketDir(dir)
	return a.mkdir(c.socketDir)
}

// openLog opens the server's log in this process, which may be root, for a
// server that is not: hence it follows no link that the server's user made.
// The file is the server's, like all in its data directory: a base backup
// reads it.
func (c *Cluster) openLog(a account) (err error) {
	path := filepath.Join(c.data, "server.log")
	c.log, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil || !a.differs {
		return err
	}
	return c.log.Chown(a.uid, a.gid)
}

// awaitReady returns when the server accepts connections, and fails when it
// ends or refuses instead.
func (c *Cluster) awaitReady(ctx context.Context) error {
	for wait := newBackoff(); ; {
		pending, err := c.ping(ctx)
		if err == nil {
			return nil
		}
		if !pending {
			return fmt.Errorf("connect: %w", err)
		}
		select {
		case <-c.server.ended:
			return fmt.Errorf("server ended: %s\n%s", c.server.end(), c.server.logTail())
		default:
		}
		if ended := wait.next(ctx); ended != nil {
			return fmt.Errorf("wait for server: %w\n%s", ended, c.server.logTail())
		}
	}
}
