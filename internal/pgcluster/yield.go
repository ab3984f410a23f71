package pgcluster

import (
	"os"

	"golang.org/x/sys/unix"
)

// niceness is half way to the least priority that there is.
const niceness = 10

// Yield has a process, and those that it starts from now on, give way to others that
// want the processor. Where the system does not allow it nothing changes.
func Yield(p *os.Process) { _ = unix.Setpriority(unix.PRIO_PROCESS, p.Pid, niceness) }
