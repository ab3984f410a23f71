package e2e_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// testAuditCrash kills the server in the moment that it has refused somebody, or
// has changed people: the audit trail tells of it.
func testAuditCrash(t *testing.T, p *program) {
	t.Helper()
	p.makeToken("loans:read", "users:write")
	good := p.token
	const user = `{"name":"pat","full_name":"Pat","password":"correct horse battery"}`
	for n, tt := range []struct {
		token, method, path, body string
		status                    int
		kind, actor               string
	}{
		{"loanserve_1_x", http.MethodGet, "/v1/loans", "", 401, "request_refused", "nobody"},
		{good, http.MethodPost, "/v1/loans", regZLoan("AUDIT-1"), 403, "request_refused", "token:1"},
		{good, http.MethodPost, "/v1/users", user, 201, "user_created", "token:1"},
		{good, http.MethodPost, "/v1/users", user, 409, "request_made", "token:1"},
		{"", http.MethodPost, "/v1/sessions", `{"name":"pat","password":"wrong"}`, 401, "request_refused", "nobody"},
		{good, http.MethodDelete, "/v1/users/1", "", 204, "user_deleted", "token:1"},
	} {
		serve := p.start("serve")
		p.token = tt.token
		id := fmt.Sprintf("audit-%d", n)
		a, err := p.request(serve, tt.method, tt.path, tt.body, "X-Request-Id", id)
		serve.signal(syscall.SIGKILL)
		require.NoError(t, err)
		require.Equal(t, tt.status, a.status, a.body)
		require.Equal(t, 1, p.count(fmt.Sprintf(`SELECT count(*) FROM auth_events
			WHERE request_id = '%s' AND kind = '%s' AND actor = '%s'`, id, tt.kind, tt.actor)), "%s %s", tt.method, tt.path)
	}
}
