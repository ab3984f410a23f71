-- InsertPaymentBatch records a file. It returns no row when the principal's
-- idempotency key is taken or the same file was taken before, and waits for the
-- transaction that is taking either.
--
-- name: InsertPaymentBatch :one
INSERT INTO payment_batches (id, format, sha256, items, total_cents, requested_by, idempotency_key, request_hash)
VALUES (@id, @format, @sha256, @items, @total_cents, @requested_by, @idempotency_key, @request_hash)
ON CONFLICT DO NOTHING
RETURNING *;

-- GetPaymentBatch returns one batch.
--
-- name: GetPaymentBatch :one
SELECT * FROM payment_batches WHERE id = $1;

-- GetPaymentBatchByKey returns the batch that a principal sent under a key.
--
-- name: GetPaymentBatchByKey :one
SELECT * FROM payment_batches WHERE requested_by = $1 AND idempotency_key = $2;

-- GetPaymentBatchBySHA256 returns the batch that a file was taken as.
--
-- name: GetPaymentBatchBySHA256 :one
SELECT * FROM payment_batches WHERE sha256 = $1;

-- ListLoanIDs returns the loans of the given numbers, in no order: the caller
-- looks them up by number.
--
-- name: ListLoanIDs :many
SELECT id, loan_number FROM loans WHERE loan_number = ANY(@loan_numbers::text[]) LIMIT 10000;

-- InsertBatchPayments records payments of a batch as received and returns the
-- ids of those it recorded. It leaves out, without an error, a payment whose
-- reference its loan has from this channel, and waits for whoever is storing
-- that one. References are taken in one order, so that two batches do not wait
-- for each other in a circle within a statement.
--
-- name: InsertBatchPayments :many
INSERT INTO payments (
  id, loan_id, amount_cents, received_on, channel, designation, external_ref,
  requested_by, idempotency_key, request_hash
)
SELECT s.id, s.loan_id, s.amount_cents, s.received_on, s.channel, s.designation, s.external_ref,
  @requested_by::text, 'batch ' || (@batch_id::uuid)::text || ' line ' || s.line, @request_hash::bytea
FROM (
  SELECT unnest(@ids::uuid[]) AS id, unnest(@lines::integer[]) AS line, unnest(@loan_ids::bigint[]) AS loan_id,
    unnest(@amounts::bigint[]) AS amount_cents, unnest(@received_on::date[]) AS received_on,
    unnest(@channels::text[])::payment_channel AS channel,
    unnest(@designations::text[])::payment_designation AS designation,
    unnest(@external_refs::text[]) AS external_ref
) s
ORDER BY s.loan_id, s.channel, s.external_ref
ON CONFLICT DO NOTHING
RETURNING id;

-- InsertPaymentBatchItems records items of a batch with what was made of them.
-- No loan is 0, no payment and no reason are ''.
--
-- name: InsertPaymentBatchItems :exec
INSERT INTO payment_batch_items (
  batch_id, line, loan_number, amount_cents, received_on, channel, designation, external_ref,
  status, reason, loan_id, payment_id
)
SELECT @batch_id, unnest(@lines::integer[]), unnest(@loan_numbers::text[]), unnest(@amounts::bigint[]),
  unnest(@received_on::date[]), unnest(@channels::text[])::payment_channel,
  unnest(@designations::text[])::payment_designation, unnest(@external_refs::text[]),
  unnest(@statuses::text[])::payment_batch_item_status, nullif(unnest(@reasons::text[]), ''),
  nullif(unnest(@loan_ids::bigint[]), 0), nullif(unnest(@payment_ids::text[]), '')::uuid;

-- CountPaymentBatchItems returns how many items of a batch are in each status,
-- and what they sum to.
--
-- name: CountPaymentBatchItems :many
SELECT status, count(*)::integer AS items, sum(amount_cents)::bigint AS total_cents
FROM payment_batch_items
WHERE batch_id = $1
GROUP BY status
ORDER BY status;

-- ListPaymentBatchItems returns a batch's items in the order of the file, after
-- the given line, at most row_limit of them.
--
-- name: ListPaymentBatchItems :many
SELECT * FROM payment_batch_items
WHERE batch_id = @batch_id AND line > @after_line
ORDER BY line
LIMIT @row_limit;

-- ListPaymentBatchItemsByStatus is ListPaymentBatchItems for one status.
--
-- name: ListPaymentBatchItemsByStatus :many
SELECT * FROM payment_batch_items
WHERE batch_id = @batch_id AND status = @status AND line > @after_line
ORDER BY line
LIMIT @row_limit;

-- ListBatchPaymentsToPost returns the payments of a range of a batch's lines
-- that wait to be posted.
--
-- name: ListBatchPaymentsToPost :many
SELECT p.id FROM payment_batch_items i
JOIN payments p ON p.id = i.payment_id
WHERE i.batch_id = @batch_id AND i.line BETWEEN @first_line AND @last_line
  AND i.status = 'stored' AND p.status = 'received'
ORDER BY i.line
LIMIT 10000;

-- MarkBatchItemsPosted takes over what became of the payments of a range of a
-- batch's lines.
--
-- name: MarkBatchItemsPosted :exec
UPDATE payment_batch_items i
SET status = CASE WHEN p.status = 'rejected' THEN 'rejected' ELSE 'posted' END::payment_batch_item_status,
  reason = p.reason
FROM payments p
WHERE i.batch_id = @batch_id AND i.line BETWEEN @first_line AND @last_line AND i.status = 'stored'
  AND p.id = i.payment_id AND p.status <> 'received';

-- LockPaymentBatch holds a batch's status, so that what MarkPaymentBatch then
-- sees of the items stays so.
--
-- name: LockPaymentBatch :exec
SELECT FROM payment_batches WHERE id = $1 FOR NO KEY UPDATE;

-- MarkPaymentBatch takes a batch to posting while some of its payments wait, and
-- to finished when none does. Whoever calls it holds LockPaymentBatch, taken in
-- a statement before.
--
-- name: MarkPaymentBatch :exec
UPDATE payment_batches b SET status = s.status, finished_at = CASE WHEN s.status = 'finished' THEN now() END
FROM (
  SELECT CASE WHEN EXISTS (
    SELECT FROM payment_batch_items i WHERE i.batch_id = @id AND i.status = 'stored'
  ) THEN 'posting' ELSE 'finished' END::payment_batch_status AS status
) s
WHERE b.id = @id AND b.status <> s.status;

-- ListFinishedPaymentBatches returns those of the given batches that are
-- finished.
--
-- name: ListFinishedPaymentBatches :many
SELECT id FROM payment_batches WHERE id = ANY(@ids::uuid[]) AND status = 'finished' ORDER BY id LIMIT 10000;

-- LockPaymentBatchItem locks an item to resolve it.
--
-- name: LockPaymentBatchItem :one
SELECT * FROM payment_batch_items WHERE batch_id = $1 AND line = $2 FOR NO KEY UPDATE;

-- MarkBatchItemAssigned gives an exception the loan and the payment that a
-- person found for it.
--
-- name: MarkBatchItemAssigned :one
UPDATE payment_batch_items SET status = 'stored', reason = NULL, loan_id = @loan_id, payment_id = @payment_id,
  note = @note, resolved_by = @resolved_by, resolved_at = now()
WHERE batch_id = @batch_id AND line = @line AND status = 'exception'
RETURNING *;

-- MarkBatchItemReturned ends an exception whose money a person sent back.
--
-- name: MarkBatchItemReturned :one
UPDATE payment_batch_items SET status = 'returned', note = @note, resolved_by = @resolved_by, resolved_at = now()
WHERE batch_id = @batch_id AND line = @line AND status = 'exception'
RETURNING *;
