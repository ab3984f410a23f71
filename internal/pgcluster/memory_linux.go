package pgcluster

import "golang.org/x/sys/unix"

// freeMemoryBytes is the space left in sharedMemory, 0 if it cannot be used.
func freeMemoryBytes() int64 {
	var st unix.Statfs_t
	if unix.Access(sharedMemory, unix.W_OK|unix.X_OK) != nil || unix.Statfs(sharedMemory, &st) != nil {
		return 0
	}
	if st.Type != unix.TMPFS_MAGIC {
		return 0
	}
	return int64(st.Bavail) * st.Bsize
}
