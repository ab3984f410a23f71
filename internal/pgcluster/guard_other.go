//go:build !linux

package pgcluster

import "syscall"

// bind does nothing: only Linux tells children of their parent's death.
func bind(*syscall.SysProcAttr, syscall.Signal) {}

// guard takes its place.
func guard(pid int) (release func(), err error) { return watch(pid) }
