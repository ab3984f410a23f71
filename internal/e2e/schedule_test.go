package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testClosesDays lets two processes run that nobody asks for anything: yesterday
// is closed, once.
func testClosesDays(t *testing.T, p *program) {
	t.Helper()
	p.makeToken("runs:read")
	serve := p.start("serve", "--workers", "4", "--close-day-at", "00:00", "--time-zone", "Pacific/Honolulu")
	p.start("work", "--close-day-at", "00:00", "--time-zone", "Pacific/Honolulu")
	var runs answer
	require.Eventually(t, func() bool {
		runs = p.mustRequest(serve, http.StatusOK, http.MethodGet, "/v1/runs", "")
		_, closing, found := strings.Cut(runs.body, `"kind":"close_day"`)
		closing, _, _ = strings.Cut(closing, `"requested_by"`)
		return found && strings.Contains(closing, `"status":"finished"`) &&
			strings.Contains(runs.body, `"kind":"clean_up_sessions"`) // Housekeeping is by the clock as well.
	}, patience, 20*time.Millisecond)
	require.Contains(t, runs.body, `"requested_by":"schedule"`)
	zone, err := time.LoadLocation("Pacific/Honolulu")
	require.NoError(t, err)
	yesterday := time.Now().In(zone).AddDate(0, 0, -1).Format(time.DateOnly)
	require.Contains(t, runs.body, `"as_of_on":"`+yesterday+`"`)
}
