//go:build !linux

package pgcluster

// freeMemoryBytes is 0: only Linux has sharedMemory.
func freeMemoryBytes() int64 { return 0 }
