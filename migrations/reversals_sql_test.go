package migrations_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"loanserve/internal/testdb"
	"loanserve/queries"
)

// SQLSTATEs of rows that contradict the schema.
const (
	uniqueViolation     = "23505"
	foreignKeyViolation = "23503"
)

// reversals are a reversal in force of one payment, and one of another that
// waits for approval.
type reversals struct {
	payment, other   queries.Payment
	inForce, pending queries.PaymentReversal
}

func someReversals(t *testing.T, tx pgx.Tx) reversals {
	t.Helper()
	loan := testdb.Loan(t, tx)
	r := reversals{payment: testdb.Payment(t, tx, loan), other: testdb.Payment(t, tx, loan)}
	r.inForce = testdb.Reversal(t, tx, r.payment)
	exec(t, tx, `UPDATE payment_reversals SET status = 'posted', posted_at = now() WHERE id = $1`, r.inForce.ID)
	r.pending = testdb.Reversal(t, tx, r.other, func(p *queries.InsertPaymentReversalParams) { p.ApprovalRequired = true })
	return r
}

// The program has the privilege for each of these statements, and the schema
// refuses what they would come to.
func TestReversalsThatTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	tx := testdb.Tx(t)
	r := someReversals(t, tx)
	update := func(set string) string {
		return fmt.Sprintf(`UPDATE payment_reversals SET %s WHERE id = '%s'`, set, r.pending.ID)
	}
	insert := func(payment queries.Payment, columns, values string) string {
		return fmt.Sprintf(`
INSERT INTO payment_reversals (id, payment_id, requested_by, idempotency_key, request_hash, %s)
VALUES (gen_random_uuid(), '%s', 'x', gen_random_uuid(), sha256('x'), %s)`, columns, payment.ID, values)
	}
	undo := func(payment queries.Payment, of queries.PaymentReversal) string {
		return insert(payment, "reason, reverses", fmt.Sprintf("'mistaken', '%s'", of.ID))
	}
	for why, attack := range map[string]struct{ sql, code string }{
		"who asked approves": {
			update(`status = 'requested', decided_by = requested_by, decided_at = now()`), checkViolation,
		},
		"who asked refuses": {
			update(`status = 'refused', decided_by = requested_by, decided_at = now(), decision_note = 'x'`), checkViolation,
		},
		"nobody approves":              {update(`status = 'requested'`), checkViolation},
		"posted without approval":      {update(`status = 'posted', posted_at = now()`), checkViolation},
		"rejected without approval":    {update(`status = 'rejected', refusal = 'x'`), checkViolation},
		"decided and still waiting":    {update(`decided_by = 'y', decided_at = now()`), checkViolation},
		"decided at no time":           {update(`status = 'requested', decided_by = 'y'`), checkViolation},
		"decided by nobody":            {update(`status = 'requested', decided_at = now()`), checkViolation},
		"refused without a word":       {update(`status = 'refused', decided_by = 'y', decided_at = now()`), checkViolation},
		"a note of no decision":        {update(`decision_note = 'x'`), checkViolation},
		"undone before it was posted":  {update(`undone_at = now()`), checkViolation},
		"a decision nobody asked for":  {insert(r.payment, "reason, decided_by, decided_at", "'R01', 'y', now()"), checkViolation},
		"refused, and nobody asked":    {insert(r.payment, "reason, status", "'R01', 'refused'"), checkViolation},
		"waiting, and nobody asked":    {insert(r.payment, "reason, status", "'R01', 'pending_approval'"), checkViolation},
		"a reason that undoes":         {insert(r.payment, "reason", "'mistaken'"), checkViolation},
		"a code that undoes":           {insert(r.payment, "reason, reverses", fmt.Sprintf("'R01', '%s'", r.inForce.ID)), checkViolation},
		"two in force":                 {insert(r.payment, "reason, status, posted_at", "'R01', 'posted', now()"), uniqueViolation},
		"a second wish":                {insert(r.other, "reason", "'R01'"), uniqueViolation},
		"an undoing of nothing":        {undo(r.payment, queries.PaymentReversal{}), foreignKeyViolation},
		"an undoing of another's loss": {undo(r.payment, r.pending), foreignKeyViolation},
	} {
		save, err := tx.Begin(t.Context())
		require.NoError(t, err)
		_, err = save.Exec(t.Context(), attack.sql)
		code, _ := state(err)
		require.Equal(t, attack.code, code, "%s: %v", why, err)
		require.NoError(t, save.Rollback(t.Context()))
	}
	exec(t, tx, undo(r.payment, r.inForce)) // What is in order is taken.
	exec(t, tx, update(`status = 'refused', decided_by = 'y', decided_at = now(), decision_note = 'x'`))
	exec(t, tx, insert(r.other, "reason", "'R01'"))
}
