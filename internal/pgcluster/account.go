package pgcluster

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// nobody is the last resort of a root process: the overflow uid of every Linux
// and macOS system, which owns nothing.
const nobody = 65534

// account is the operating system user that runs the server. PostgreSQL
// refuses to run as root, so a root process gives the server another one.
type account struct {
	uid, gid int
	differs  bool // From the user of this process, which then is root.
}

// serverAccount is the account for a server with a new data directory.
func serverAccount() account {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}
	}
	if u, err := user.Lookup("postgres"); err == nil {
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil && uid != 0 {
			return account{uid: uid, gid: gid, differs: true}
		}
	}
	return account{uid: nobody, gid: nobody, differs: true}
}

// accountFor is the account for a server on the data directory dir: a root
// process runs it as the owner dir already has, so that nothing changes hands.
func accountFor(dir string) (account, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return account{}, fmt.Errorf("stat data directory: %w", err)
	}
	if os.Geteuid() == 0 && st.Uid != 0 {
		return account{uid: int(st.Uid), gid: int(st.Gid), differs: true}, nil
	}
	return serverAccount(), nil
}

// own makes the tree at dir belong to the account and closes it to others, as
// PostgreSQL demands of a data directory. It does not follow symbolic links.
func (a account) own(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if perm := info.Mode().Perm(); perm != 0o700 && perm != 0o750 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("close to others: %w", err)
		}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !a.differs || (ok && int(st.Uid) == a.uid) {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	})
}

// mkdir creates the directory path for the account alone.
func (a account) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return a.own(path)
}

// command prepares a server program to run as the account. The environment is
// built anew: PGDATA, PGPORT or PGOPTIONS of the caller would steer the server,
// and its secrets are not the server's business.
func (a account) command(ctx context.Context, b Binaries, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(b.Dir, program), args...)
	cmd.Dir = "/" // The caller's may be closed to the account.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	if b.LibDir != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+b.LibDir)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for the owner to act on.
	if a.differs {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return cmd
}
