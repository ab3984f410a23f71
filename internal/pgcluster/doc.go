// Package pgcluster runs a private PostgreSQL server: for the demo, for tests
// and benchmarks, and for restore drills.
//
// Inside is everything from finding or fetching the server programs to
// stopping the server: Find, Provision, Start. Outside are databases, roles
// and schemas (the caller creates them through URL), and anything meant for
// production, which brings its own server and its own DATABASE_URL.
//
// The one idea: a server belongs to the process that started it. It listens on
// a Unix socket in a directory of its own, so it needs no port and no
// password; it ends when its owner ends, even by SIGKILL; and what a killed
// owner left behind, the next Start removes. A data directory is never emptied,
// converted or taken over because it is not what was expected: then Start
// refuses and changes nothing.
//
// Environment: LOANSERVE_PG_BIN names a directory of server programs to use.
// Of this package's tests, the ones that download run only when
// LOANSERVE_TEST_NETWORK=1.
package pgcluster
