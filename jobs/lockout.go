package jobs

import "time"

// LockoutWindow is how far back the throttle of logins counts failures. Attempts
// within it are never pruned.
const LockoutWindow = 24 * time.Hour
