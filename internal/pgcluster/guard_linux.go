package pgcluster

import "syscall"

// bind has the kernel send the signal to the child when its parent dies. Go
// asks for it after it has changed the child's user, which would undo it.
func bind(attr *syscall.SysProcAttr, signal syscall.Signal) { attr.Pdeathsig = signal }

// guard has nothing to add to bind.
func guard(int) (release func(), err error) { return func() {}, nil }
