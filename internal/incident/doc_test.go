// Package incident replays how a portfolio of loans was once lost, and undoes it.
//
// Inside: one test, which is a story in steps: the program as it is deployed, with its
// archive of WAL and its nightly backup; somebody with all rights who deletes 19 of 23
// loans; the alarm; the commands of docs/recovery.md; and the comparison of everything
// with a copy from before. Not inside: any part of the program's code.
//
// The idea to hold: the steps of the runbook are the steps of the test. `make incident`
// tells the story with times.
package incident_test
