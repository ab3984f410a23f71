// Package e2e has only tests: of the built program, started as processes, over
// HTTP, and killed without warning.
package e2e
