package main

// heapReserveBytes is what a process holds and never touches, so that it costs
// addresses and no memory. The collector lets garbage grow to what is in use.
// That is a few megabytes in this program, so that under load it ran some
// hundred times a second and took an eighth of the work of taking a payment. Now
// garbage grows by this much. GOGC would do the same in proportion, which is far
// too much when files of payments are in memory.
const heapReserveBytes = 64 << 20

// reserveHeap returns what a process is to hold on to as long as it runs, or nil
// where the operator has told the collector what to do.
func reserveHeap(env func(string) (string, bool)) []byte {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := env(name); set {
			return nil
		}
	}
	return make([]byte, heapReserveBytes)
}
