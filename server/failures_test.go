package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"loanserve/server"
)

var failures = map[string]func() error{
	"error":     func() error { return errors.New("the vault is open") },
	"panic":     func() error { panic("the vault is open") },
	"not-found": func() error { return fmt.Errorf("get loan: %w", server.NotFound("There is no such loan.")) },
	"invalid": func() error {
		return server.Invalid(server.InBody("/received_on", "must not be in the future"))
	},
	"busy":    func() error { return fmt.Errorf("lock loan: %w", &pgconn.PgError{Code: "55P03"}) },
	"no-rows": func() error { return fmt.Errorf("get loan: %w", pgx.ErrNoRows) },
}

func TestFailuresOfHandlers(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		how, code  string
		status     int
		retryAfter string
		level      string
	}{
		"an unforeseen error is opaque":      {how: "error", code: "internal", status: 500, level: "ERROR"},
		"a panic is opaque":                  {how: "panic", code: "internal", status: 500, level: "ERROR"},
		"no rows that nobody foresaw":        {how: "no-rows", code: "internal", status: 500, level: "ERROR"},
		"a problem is answered as it is":     {how: "not-found", code: "not-found", status: 404, level: "INFO"},
		"a refused value names its place":    {how: "invalid", code: "invalid", status: 422, level: "INFO"},
		"a busy database asks for a new try": {how: "busy", code: "unavailable", status: 503, retryAfter: "2", level: "ERROR"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f := setup(t)
			w := f.do(http.MethodGet, "/v1/fail/"+tt.how, "", nil)
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, tt.code, f.problem(t, w).Code)
			require.NotContains(t, w.Body.String(), "vault")
			require.Equal(t, tt.retryAfter, w.Header().Get("Retry-After"))

			require.Equal(t, 1, strings.Count(f.log.String(), "\n"), "one line for a request: %s", f.log)
			require.Contains(t, f.log.String(), `"level":"`+tt.level+`"`)
			if tt.how == "panic" {
				require.Contains(t, f.log.String(), `"stack":"goroutine`)
			}
		})
	}
}

func TestDatabaseErrorsBecomeProblems(t *testing.T) {
	t.Parallel()

	sql := func(code, constraint string) error {
		return fmt.Errorf("insert payment: %w", &pgconn.PgError{
			Code: code, ConstraintName: constraint, Message: secretValue, Detail: secretValue,
		})
	}
	tests := map[string]struct {
		err    error
		status int
	}{
		"unique violation":          {sql("23505", "loans_loan_number_key"), 409},
		"no such loan":              {sql("23503", "payments_loan_id_fkey"), 404},
		"another foreign key":       {sql("23503", "loans_property_id_fkey"), 409},
		"check violation":           {sql("23514", "payments_amount_cents_check"), 422},
		"value out of range":        {sql("22003", ""), 422},
		"bad encoding":              {sql("22021", ""), 422},
		"not null is our mistake":   {sql("23502", ""), 500},
		"missing column":            {sql("42703", ""), 500},
		"missing privilege":         {sql("42501", ""), 500},
		"a guard's refusal":         {sql("P0001", ""), 500},
		"serialization failure":     {sql("40001", ""), 503},
		"deadlock":                  {sql("40P01", ""), 503},
		"lock timeout":              {sql("55P03", ""), 503},
		"statement timeout":         {sql("57014", ""), 503},
		"too many connections":      {sql("53300", ""), 503},
		"shutdown":                  {sql("57P01", ""), 503},
		"standby":                   {sql("25006", ""), 503},
		"connection failure":        {sql("08006", ""), 503},
		"a code of no length":       {sql("", ""), 500},
		"connection cannot be made": {fmt.Errorf("begin: %w", &pgconn.ConnectError{}), 503},
		"connection lost":           {fmt.Errorf("commit: %w", io.ErrUnexpectedEOF), 503},
		"connection closed":         {fmt.Errorf("query: %w", pgconn.ErrConnClosed), 503},
		"deadline":                  {fmt.Errorf("query: %w", context.DeadlineExceeded), 503},
		"client gone":               {fmt.Errorf("query: %w", context.Canceled), 503},
		"no rows is our mistake":    {pgx.ErrNoRows, 500},
		"anything else":             {errors.New("else"), 500},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := server.DBProblem(tt.err)
			require.Equal(t, tt.status, p.Status)
			require.ErrorIs(t, p, tt.err)
			require.Equal(t, tt.status == http.StatusServiceUnavailable, p.GetHeaders().Get("Retry-After") != "")
			require.NotContains(t, p.Error(), secretValue)

			if _, ok := errors.AsType[*pgconn.PgError](tt.err); ok {
				var log strings.Builder
				slog.New(slog.NewTextHandler(&log, nil)).Info("x", server.CauseAttr(tt.err))
				require.NotContains(t, log.String(), secretValue)
				require.Contains(t, log.String(), `error.act="insert payment"`)
			}
		})
	}
}
