package testdb

import "os"

// Long says whether the tests run at full scale, as make test/long has them: more
// loans, more rounds of a race, a kill at every stage, every kind of damage. What
// make test leaves to it differs in how often and never in what is asserted.
func Long() bool { return os.Getenv("LOANSERVE_TEST_LONG") != "" }

// Scale is the usual number of a thing, or the one of the long tests.
func Scale(usual, long int) int {
	if Long() {
		return long
	}
	return usual
}
