-- InsertEscrowPayee records where a payee is paid from now on.
--
-- name: InsertEscrowPayee :one
INSERT INTO escrow_payees (name, routing_number, account_number, account_kind, requested_by)
VALUES (@name, @routing_number, @account_number, @account_kind, @requested_by)
RETURNING *;

-- MarkEscrowPayeeReplaced ends the account that counted for a payee.
--
-- name: MarkEscrowPayeeReplaced :exec
UPDATE escrow_payees SET replaced_at = now() WHERE name = $1 AND replaced_at IS NULL;

-- GetEscrowPayee returns the account that counts for a payee.
--
-- name: GetEscrowPayee :one
SELECT * FROM escrow_payees WHERE name = $1 AND replaced_at IS NULL;

-- ListEscrowPayees returns the accounts that count, in order of id, after the given
-- one, at most row_limit of them.
--
-- name: ListEscrowPayees :many
SELECT * FROM escrow_payees WHERE id > @after_id AND replaced_at IS NULL ORDER BY id LIMIT @row_limit;

-- GetEscrowFileByKey returns the file that a principal asked for under a key.
--
-- name: GetEscrowFileByKey :one
SELECT * FROM escrow_files WHERE requested_by = $1 AND idempotency_key = $2;

-- GetEscrowFile returns one file.
--
-- name: GetEscrowFile :one
SELECT * FROM escrow_files WHERE id = $1;

-- LockDisbursementsToSend locks the scheduled disbursements up to a day that go into
-- a file: those of payees with an account for ACH, or those of the others. What
-- another file is taking is waited for, and then left out.
--
-- name: LockDisbursementsToSend :many
SELECT d.id, d.loan_id, d.kind, d.payee, d.amount_cents, d.due_on, d.paid_on, l.loan_number,
  coalesce(p.routing_number, '')::text AS routing_number, coalesce(p.account_number, '')::text AS account_number,
  coalesce(p.account_kind, '')::text AS account_kind
FROM escrow_disbursements d
JOIN loans l ON l.id = d.loan_id
LEFT JOIN escrow_payees p ON p.name = d.payee AND p.replaced_at IS NULL AND d.kind = 'bill'
WHERE d.status = 'scheduled' AND d.paid_on <= @up_to_on
  AND (p.id IS NOT NULL AND d.amount_cents <= 9999999999) = @by_ach::boolean
ORDER BY d.id
LIMIT @row_limit
FOR NO KEY UPDATE OF d;

-- InsertEscrowFile stores a file. It returns no row when the principal's idempotency
-- key is taken.
--
-- name: InsertEscrowFile :one
INSERT INTO escrow_files (
  id, format, content, sha256, items, total_cents, requested_by, idempotency_key, request_hash, created_at
) VALUES (
  @id, @format, @content, @sha256, @items, @total_cents, @requested_by, @idempotency_key, @request_hash, @created_at
)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- MarkDisbursementsSent puts disbursements into a file, once.
--
-- name: MarkDisbursementsSent :execrows
UPDATE escrow_disbursements SET status = 'sent', file_id = @file_id::uuid, sent_at = @sent_at
WHERE id = ANY(@ids::uuid[]) AND status = 'scheduled';

-- GetNow returns the moment of the transaction.
--
-- name: GetNow :one
SELECT now()::timestamptz;

-- LockEscrowFiles makes whoever writes a payment file wait for the one before, until
-- its transaction ends: files of a day are numbered, and a key is looked up once.
--
-- name: LockEscrowFiles :exec
SELECT pg_advisory_xact_lock(hashtextextended('loanserve.escrow_files', 0));

-- CountEscrowFilesOfDay returns how many files of the format were written on the day
-- (UTC) of a moment.
--
-- name: CountEscrowFilesOfDay :one
SELECT count(*) FROM escrow_files
WHERE format = @format AND timezone('UTC', created_at)::date = timezone('UTC', @at::timestamptz)::date;
