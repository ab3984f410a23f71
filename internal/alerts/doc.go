// Package alerts has only tests: that the alerts, the runbook and the dashboard
// belong together and name what the program exports, what the alerts say to what they
// see, and that the real ones fire and resolve.
package alerts
