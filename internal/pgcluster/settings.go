package pgcluster

import (
	"maps"
	"slices"
)

const (
	superuser     = "postgres"
	port          = "5432" // Never taken: each server has a socket directory of its own.
	socketDirName = "s"
	socketName    = ".s.PGSQL." + port
)

// defaults is the server's configuration file. It takes the place of the one
// in the data directory, which may come from another machine. What Settings or
// ALTER SYSTEM say has precedence.
const defaults = `max_connections = 300
shared_buffers = 128MB
wal_level = replica
max_wal_senders = 10
timezone = UTC
log_timezone = UTC
log_line_prefix = '%m [%p] '
lc_messages = C
jit = off
`

// volatile are the defaults of a server that need not survive a crash. The WAL
// is kept short because it may lie in memory. Shared memory is in files of the
// data directory, to go with it when the server is killed.
const volatile = `dynamic_shared_memory_type = mmap
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = 256MB
`

// access is the server's pg_hba.conf: whoever reaches the socket is trusted,
// and only the owner and root can.
const access = `local all all trust
local replication all trust
`

// arguments is the server's command line. What makes the server private comes
// last, which has precedence.
func arguments(data, run string, settings map[string]string) []string {
	args := []string{
		"-D", data,
		"-c", "config_file=" + configPath(run),
		"-c", "hba_file=" + accessPath(run),
		"-c", "ident_file=" + identPath(run),
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return append(args,
		"-c", "listen_addresses=",
		"-c", "port="+port,
		"-c", "unix_socket_directories="+socketDir(run),
		"-c", "logging_collector=off", // Its log would be elsewhere.
		"-c", "log_destination=stderr",
	)
}
