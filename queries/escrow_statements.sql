-- LockEscrowAnalysisToState locks a finished analysis that owes the borrower a
-- statement, and returns it with its loan. It returns no row for any other analysis.
--
-- name: LockEscrowAnalysisToState :one
SELECT sqlc.embed(a), sqlc.embed(l)
FROM escrow_analyses a
JOIN loans l ON l.id = a.loan_id
WHERE a.id = $1 AND a.status = 'finished' AND NOT a.dry_run AND a.statement_due_on IS NOT NULL
FOR NO KEY UPDATE OF a;

-- GetEscrowStatement returns what is known of the statement of an analysis.
--
-- name: GetEscrowStatement :one
SELECT * FROM escrow_statements WHERE analysis_id = $1;

-- GetEscrowAnalysisBefore returns the analysis that counted before another one: its
-- projection is that of the year that ended with the day before_on.
--
-- name: GetEscrowAnalysisBefore :one
SELECT * FROM escrow_analyses
WHERE loan_id = @loan_id AND id < @id AND status = 'finished' AND NOT dry_run AND kind <> 'payoff'
  AND start_on < @before_on::date
ORDER BY start_on DESC, id DESC
LIMIT 1;

-- ListEscrowMovements returns what moved a loan's escrow account up to a day, as it
-- was known at a moment, in order of the days: what stands in the books, without
-- what was reversed. Below zero is what left the account. What the servicer has
-- advanced counts as part of it, so that an account can be below zero.
--
-- name: ListEscrowMovements :many
SELECT t.kind, t.effective_on, (-(t.escrow_cents + t.escrow_advance_cents))::bigint AS amount
FROM transactions t
WHERE t.loan_id = @loan_id AND t.effective_on <= @up_to_on::date AND t.posted_at <= @known_at::timestamptz
  AND t.kind <> 'reversal' AND t.escrow_cents + t.escrow_advance_cents <> 0
  AND NOT EXISTS (
    SELECT FROM transactions r
    WHERE r.loan_id = t.loan_id AND r.reverses = t.seq AND r.posted_at <= @known_at::timestamptz)
ORDER BY t.effective_on, t.seq
LIMIT 100000;

-- ListStatementPayees returns what the money was for that left a loan's escrow account.
-- It has no item where it went back to the borrower.
--
-- name: ListStatementPayees :many
SELECT d.payee, d.amount_cents, d.paid_on, d.returned_on, coalesce(e.kind::text, '')::text AS item
FROM escrow_disbursements d
LEFT JOIN escrow_bills b ON b.id = d.bill_id
LEFT JOIN escrow_lines e ON e.id = b.line_id
WHERE d.loan_id = $1
ORDER BY d.paid_on, d.id
LIMIT 100000;

-- InsertDocument stores a document of a loan.
--
-- name: InsertDocument :exec
INSERT INTO documents (id, loan_id, kind, title, media_type, content, sha256)
VALUES (@id, @loan_id, @kind, @title, @media_type, @content, sha256(@content));

-- InsertEscrowStatement records that the statement of an analysis was made.
--
-- name: InsertEscrowStatement :exec
INSERT INTO escrow_statements (analysis_id, loan_id, html_id, pdf_id, json_id)
VALUES (@analysis_id, @loan_id, @html_id, @pdf_id, @json_id);

-- ListEscrowStatementsToMake returns analyses that owe a statement that was not
-- made, those that are due first, at most row_limit of them.
--
-- name: ListEscrowStatementsToMake :many
SELECT analysis_id FROM owed_escrow_statements
WHERE made_at IS NULL
ORDER BY due_on, analysis_id
LIMIT @row_limit;

-- GetEscrowStatementDocument returns a statement in one of its forms: html, pdf or
-- json.
--
-- name: GetEscrowStatementDocument :one
SELECT d.media_type, d.content, d.sha256, l.loan_number, a.as_of_on
FROM escrow_statements s
JOIN escrow_analyses a ON a.id = s.analysis_id
JOIN loans l ON l.id = s.loan_id
JOIN documents d ON d.id = CASE @form::text WHEN 'html' THEN s.html_id WHEN 'pdf' THEN s.pdf_id ELSE s.json_id END
WHERE s.analysis_id = @analysis_id;

-- MarkEscrowStatementDelivered records that a statement was delivered, once. It
-- returns no row when there is no statement, or it was delivered before.
--
-- name: MarkEscrowStatementDelivered :one
UPDATE escrow_statements SET delivered_on = @delivered_on, delivered_by = @delivered_by
WHERE analysis_id = @analysis_id AND delivered_on IS NULL
RETURNING *;

-- GetOwedEscrowStatement returns what is known of the statement that an analysis
-- owes.
--
-- name: GetOwedEscrowStatement :one
SELECT * FROM owed_escrow_statements WHERE analysis_id = $1;

-- ListOwedEscrowStatements returns the statements that are owed, made or not, in
-- order of the day by which they are delivered, after the given one: at most row_limit
-- of them, of those due before a day, and delivered or not when that is asked for.
--
-- name: ListOwedEscrowStatements :many
SELECT * FROM owed_escrow_statements
WHERE (due_on, analysis_id) > (@after_due_on::date, @after_id::uuid) AND due_on < @due_before::date
  AND (sqlc.narg(delivered)::boolean IS NULL OR (delivered_on IS NOT NULL) = sqlc.narg(delivered)::boolean)
ORDER BY due_on, analysis_id
LIMIT @row_limit;

-- CountOwedEscrowStatements returns how many statements are owed and were not
-- delivered: not made or made, and whether the day by which they had to be delivered
-- has passed (UTC).
--
-- name: CountOwedEscrowStatements :many
SELECT (made_at IS NOT NULL)::boolean AS made, (due_on < timezone('UTC', now())::date)::boolean AS overdue,
  count(*)::bigint AS statements
FROM owed_escrow_statements
WHERE delivered_on IS NULL
GROUP BY 1, 2
ORDER BY 1, 2;
