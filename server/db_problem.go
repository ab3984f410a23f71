package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// dbProblem turns a failure below the handlers into a problem: what the caller
// can mend is a 4xx, what passes by itself a 503, and anything else a 500.
func dbProblem(err error) *problem {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return sqlProblem(pg, err)
	}
	if passing(err) {
		return unavailable("The database does not answer in time. Try again.", err)
	}
	return internal(err)
}

const (
	uniqueViolation  = "23505"
	deadlockDetected = "40P01"
)

// duplicates says what exists already, by the constraint that noticed.
var duplicates = map[string][]fault{
	"loans_loan_number_key": {inBody("/loan_number", "belongs to a loan that is boarded already")},
	"payments_external_ref_idx": {
		inBody("/external_ref", "belongs to another payment of this loan through this channel"),
	},
}

// sqlProblem maps a SQLSTATE. Values are in the message and the detail of a
// PgError, so neither is shown.
//
// Source: PostgreSQL manual, appendix A.
func sqlProblem(pg *pgconn.PgError, err error) *problem {
	class := sqlClass(pg)
	var p *problem
	switch {
	case pg.Code == uniqueViolation:
		p = conflict("It exists already.", duplicates[pg.ConstraintName]...)
	case pg.Code == "23503" && strings.HasSuffix(pg.ConstraintName, "_loan_id_fkey"):
		p = notFound("There is no such loan.")
	case pg.Code == "23503": // foreign_key_violation
		p = conflict("It refers to something that does not exist, or is still referred to.")
	case pg.Code == "23514", class == "22": // check_violation, data exceptions
		p = newProblem(kindInvalid, "A value is outside of what can be stored.")
	case pg.Code == "40001", pg.Code == deadlockDetected, // serialization failure, deadlock
		pg.Code == "55P03", pg.Code == "57014", // lock timeout, statement timeout
		pg.Code == "25006", // read only: a standby after a failover
		class == "08", class == "53",
		pg.Code == "57P01", pg.Code == "57P02", pg.Code == "57P03": // shutdown, start-up
		return unavailable("The database is busy. Try again.", err)
	default:
		return internal(err)
	}
	p.cause = err
	return p
}

// sqlClass is the class of an SQLSTATE: its first two characters.
func sqlClass(pg *pgconn.PgError) string {
	if len(pg.Code) != 5 {
		return ""
	}
	return pg.Code[:2]
}

// passing says whether the connection or the time ran out, and not the request
// or the program was at fault.
func passing(err error) bool {
	if errors.Is(err, pgx.ErrNoRows) {
		return false
	}
	_, network := errors.AsType[net.Error](err)
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return network || connecting || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, puddle.ErrClosedPool) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// causeAttr describes an error for the log. Of a PostgreSQL error it takes the
// act that failed, the code and the constraint: the rest can hold a row.
func causeAttr(err error) slog.Attr {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return slog.String("error", err.Error())
	}
	act, found := strings.CutSuffix(err.Error(), pg.Error())
	if !found {
		act = ""
	}
	return slog.Group("error",
		slog.String("act", strings.TrimSuffix(act, ": ")),
		slog.String("sqlstate", pg.Code),
		slog.String("constraint", pg.ConstraintName))
}
