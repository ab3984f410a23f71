package backup

import (
	"errors"
	"fmt"
)

// Stage is a part of the work. Failures are counted by it.
type Stage string

// The stages of making and of proving a backup.
const (
	StageConnect Stage = "connect" // reach the database, and be let in
	StageRead    Stage = "read"    // read the database
	StageStore   Stage = "store"   // write to the store
	StageCommit  Stage = "commit"  // write the manifest
	StageFetch   Stage = "fetch"   // read the store, decrypt and unpack
	StageRestore Stage = "restore" // make a server of what was fetched
	StageCompare Stage = "compare" // compare it with the manifest
)

// Stages lists them all.
func Stages() []Stage {
	return []Stage{StageConnect, StageRead, StageStore, StageCommit, StageFetch, StageRestore, StageCompare}
}

// StageError says where the work failed.
type StageError struct {
	Stage Stage
	Err   error
}

// Error implements error.
func (e *StageError) Error() string { return fmt.Sprintf("%s: %v", e.Stage, e.Err) }

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// stageError says where an error happened, unless it knows already.
func stageError(stage Stage, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*StageError](err); ok {
		return err
	}
	return &StageError{Stage: stage, Err: err}
}

// StageOf is where an error happened, or "" where that is not known.
func StageOf(err error) Stage {
	if e, ok := errors.AsType[*StageError](err); ok {
		return e.Stage
	}
	return ""
}
