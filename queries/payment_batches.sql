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

-- ListReturnedPayments returns, for each return of a file, the ACH payments of its
-- loan that it may mean: whose reference begins with the original trace number
-- and a slash, and that are not of a later day than the return. The newest come
-- first, a hundred of them at most.
--
-- name: ListReturnedPayments :many
SELECT r.line::integer AS line, p.id, p.status, p.amount_cents
FROM (
  SELECT unnest(@lines::integer[]) AS line, unnest(@loan_ids::bigint[]) AS loan_id,
    unnest(@original_traces::text[]) AS original_trace, unnest(@received_on::date[]) AS received_on
) r
CROSS JOIN LATERAL (
  SELECT c.id, c.status, c.amount_cents, c.received_on FROM payments c
  WHERE c.loan_id = r.loan_id AND c.channel = 'ach' AND starts_with(c.external_ref, r.original_trace || '/')
    AND c.received_on <= r.received_on
  ORDER BY c.received_on DESC, c.id DESC
  LIMIT 100
) p
ORDER BY r.line, p.received_on DESC, p.id DESC
LIMIT 1000000;

-- InsertPaymentBatchItems records items of a batch with what was made of them.
--
-- name: InsertPaymentBatchItems :copyfrom
INSERT INTO payment_batch_items (
  batch_id, line, loan_number, amount_cents, received_on, channel, designation, external_ref,
  status, reason, loan_id, payment_id, return_code, original_trace, returned_payment_id
) VALUES (
  @batch_id, @line, @loan_number, @amount_cents, @received_on, @channel, @designation, @external_ref,
  @status, @reason, @loan_id, @payment_id, @return_code, @original_trace, @returned_payment_id
);

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
-- that the items say wait to be posted; some may be posted already.
--
-- name: ListBatchPaymentsToPost :many
SELECT payment_id::uuid AS payment_id FROM payment_batch_items
WHERE batch_id = @batch_id AND line BETWEEN @first_line AND @last_line
  AND status = 'stored' AND payment_id IS NOT NULL
ORDER BY line
LIMIT 10000;

-- ListReturnedPaymentsToPost returns the payments that the returns on a range of
-- a batch's lines mean and that wait to be posted: only then can they be
-- reversed.
--
-- name: ListReturnedPaymentsToPost :many
SELECT DISTINCT p.id FROM payment_batch_items i
JOIN payments p ON p.id = i.returned_payment_id
WHERE i.batch_id = @batch_id AND i.line BETWEEN @first_line AND @last_line
  AND i.status = 'stored' AND i.reversal_id IS NULL AND p.status = 'received'
ORDER BY p.id
LIMIT 10000;

-- LockBatchReturns locks the returns on a range of a batch's lines that have no
-- reversal yet and whose payments no longer wait to be posted. Of a payment that
-- counts again although a return reversed it, it says so, unless a person has
-- named the payment for this one.
--
-- name: LockBatchReturns :many
SELECT i.line, p.status AS payment_status, l.status AS loan_status,
  (i.resolved_at IS NULL AND EXISTS (
    SELECT FROM payment_batch_items o WHERE o.returned_payment_id = p.id AND o.status = 'reversed'
  ))::boolean AS returned_before
FROM payment_batch_items i
JOIN payments p ON p.id = i.returned_payment_id
JOIN loans l ON l.id = p.loan_id
WHERE i.batch_id = @batch_id AND i.line BETWEEN @first_line AND @last_line
  AND i.status = 'stored' AND i.reversal_id IS NULL AND p.status <> 'received'
ORDER BY i.line
LIMIT 1000000
FOR NO KEY UPDATE OF i;

-- InsertBatchReversals makes a reversal, under the given id, of each of the given
-- returns whose payment can be reversed, and gives it to the item. It returns
-- those it made. It leaves out, without an error, a payment that is being reversed
-- or was. Loans and payments are held, in the order in which whoever posts takes
-- them, so that a payment that is reversed at this moment is seen to be.
-- Who named the payment asks for the reversal, or else who sent the file.
--
-- name: InsertBatchReversals :many
WITH wanted AS (
  SELECT unnest(@lines::integer[]) AS line, unnest(@ids::uuid[]) AS id
), held AS MATERIALIZED (
  SELECT w.id, p.id AS payment_id, i.return_code, i.line, least(i.received_on, timezone('UTC', now())::date) AS returned_on,
    coalesce(i.resolved_by, b.requested_by) AS requested_by, b.id AS batch_id, b.sha256
  FROM wanted w
  JOIN payment_batch_items i ON i.batch_id = @batch_id AND i.line = w.line
  JOIN payment_batches b ON b.id = i.batch_id
  JOIN payments p ON p.id = i.returned_payment_id
  JOIN loans l ON l.id = p.loan_id
  WHERE p.status = 'posted' AND l.status <> 'archived'
  ORDER BY l.id, p.id, i.line
  FOR NO KEY UPDATE OF l, p
), made AS (
  INSERT INTO payment_reversals (id, payment_id, reason, returned_on, requested_by, idempotency_key, request_hash)
  SELECT h.id, h.payment_id, h.return_code, h.returned_on, h.requested_by,
    'batch ' || h.batch_id || ' line ' || h.line, h.sha256
  FROM held h
  ORDER BY h.payment_id, h.line
  ON CONFLICT DO NOTHING
  RETURNING id
)
UPDATE payment_batch_items i SET reversal_id = w.id
FROM wanted w
JOIN made ON made.id = w.id
WHERE i.batch_id = @batch_id AND i.line = w.line
RETURNING i.line, w.id::uuid AS reversal_id;

-- MarkBatchReturnsRefused makes exceptions of returns whose payments cannot be
-- reversed. One for which a person has named the payment is rejected: it was an
-- exception before.
--
-- name: MarkBatchReturnsRefused :exec
UPDATE payment_batch_items i
SET status = CASE WHEN i.resolved_at IS NULL THEN 'exception' ELSE 'rejected' END::payment_batch_item_status,
  reason = r.reason
FROM (SELECT unnest(@lines::integer[]) AS line, unnest(@reasons::text[]) AS reason) r
WHERE i.batch_id = @batch_id AND i.line = r.line AND i.status = 'stored' AND i.reversal_id IS NULL;

-- GetBatchOfReversal returns the batch of the return that a reversal was made of.
--
-- name: GetBatchOfReversal :one
SELECT batch_id FROM payment_batch_items WHERE reversal_id = $1;

-- MarkBatchReturnEnded takes over what became of the reversal of a return.
--
-- name: MarkBatchReturnEnded :exec
UPDATE payment_batch_items i
SET status = CASE WHEN r.posted_at IS NULL THEN 'rejected' ELSE 'reversed' END::payment_batch_item_status,
  reason = r.refusal
FROM payment_reversals r
WHERE r.id = $1 AND i.reversal_id = r.id AND i.status = 'stored'
  AND (r.posted_at IS NOT NULL OR r.refusal IS NOT NULL);

-- MarkBatchItemsOfPosted is MarkBatchItemsPosted for payments of which the caller
-- knows that they are posted, because it has done so: they are not looked up again.
--
-- name: MarkBatchItemsOfPosted :exec
UPDATE payment_batch_items SET status = 'posted'
WHERE batch_id = @batch_id AND line BETWEEN @first_line AND @last_line AND status = 'stored'
  AND payment_id = ANY(@payment_ids::uuid[]);

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

-- MarkPaymentBatch takes a batch to posting while some of its items wait, and to
-- finished when none does. Whoever calls it holds LockPaymentBatch, taken in a
-- statement before. Files are worked from their first line on, so what waits is
-- looked for from the last one back: until the end it is found at once.
--
-- name: MarkPaymentBatch :exec
UPDATE payment_batches b SET status = s.status, finished_at = CASE WHEN s.status = 'finished' THEN now() END
FROM (
  SELECT CASE WHEN (
    SELECT true FROM payment_batch_items i WHERE i.batch_id = @id AND i.status = 'stored' ORDER BY i.line DESC LIMIT 1
  ) THEN 'posting' ELSE 'finished' END::payment_batch_status AS status
) s
WHERE b.id = @id AND b.status <> s.status;

-- ListFinishedPaymentBatches returns those of the given batches that are
-- finished.
--
-- name: ListFinishedPaymentBatches :many
SELECT id FROM payment_batches WHERE id = ANY(@ids::uuid[]) AND status = 'finished' ORDER BY id LIMIT 10000;

-- GetPaymentBatchItem returns one item.
--
-- name: GetPaymentBatchItem :one
SELECT * FROM payment_batch_items WHERE batch_id = $1 AND line = $2;

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

-- MarkBatchReturnResolved gives an exception that is a return the payment that a
-- person found for it.
--
-- name: MarkBatchReturnResolved :one
UPDATE payment_batch_items i SET status = 'stored', reason = NULL, loan_id = p.loan_id, returned_payment_id = p.id,
  note = @note, resolved_by = @resolved_by, resolved_at = now()
FROM payments p
WHERE i.batch_id = @batch_id AND i.line = @line AND i.status = 'exception' AND i.return_code IS NOT NULL
  AND p.id = @payment_id AND p.amount_cents = i.amount_cents
RETURNING i.*;

-- MarkBatchItemEnded ends an exception of which a person has sent the money back
-- (returned), or which that person has seen to otherwise (closed).
--
-- name: MarkBatchItemEnded :one
UPDATE payment_batch_items SET status = @status, note = @note, resolved_by = @resolved_by, resolved_at = now()
WHERE batch_id = @batch_id AND line = @line AND status = 'exception'
RETURNING *;
