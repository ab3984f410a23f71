-- ListWaiting returns, for what waits for a person or for its day, how much of it
-- there is, and since when the oldest has waited, in seconds since 1970 and 0 where
-- nothing does. Each part reads rows that are few, by a partial index.
--
-- name: ListWaiting :many
SELECT 'reversal_approval'::text AS what, count(*) AS waiting,
  coalesce(extract(epoch FROM min(r.created_at)), 0)::float8 AS oldest_epoch
FROM payment_reversals r WHERE r.status = 'pending_approval'
UNION ALL
SELECT 'loan_change_approval', count(*), coalesce(extract(epoch FROM min(c.created_at)), 0)::float8
FROM loan_changes c WHERE c.status = 'pending_approval'
UNION ALL
SELECT 'bill_to_pay', count(*), coalesce(extract(epoch FROM min(b.due_on)), 0)::float8
FROM escrow_bills b WHERE b.status IN ('open', 'held')
UNION ALL
SELECT 'disbursement_to_send', count(*), coalesce(extract(epoch FROM min(d.paid_on)), 0)::float8
FROM escrow_disbursements d WHERE d.status = 'scheduled'
UNION ALL
SELECT 'payment_exception', count(*), coalesce(extract(epoch FROM min(p.created_at)), 0)::float8
FROM payment_batch_items i JOIN payment_batches p ON p.id = i.batch_id
WHERE i.status = 'exception' AND i.reason IS NOT NULL AND i.resolved_at IS NULL AND i.payment_id IS NULL
ORDER BY 1
LIMIT 10;

-- GetHeldMoney returns what the loans hold in suspense, on how many of them, and the
-- day of the last entry of the one whose ledger has rested longest, in seconds since
-- 1970 and 0 where none holds any. It reads all loans.
--
-- name: GetHeldMoney :one
SELECT coalesce(sum(suspense_cents), 0)::bigint AS cents, count(*) FILTER (WHERE suspense_cents > 0) AS loans,
  coalesce(extract(epoch FROM min(last_effective_on) FILTER (WHERE suspense_cents > 0)), 0)::float8 AS oldest_epoch
FROM loans;

-- ListLastRuns returns, for what is done by the clock, when the last run was over
-- that did all of it, and the business date it was for, in seconds since 1970 and 0
-- where there was none. A run that only counted what it would delete is none.
--
-- name: ListLastRuns :many
SELECT k.kind::text AS kind,
  coalesce(extract(epoch FROM r.finished_at), 0)::float8 AS finished_epoch,
  coalesce(extract(epoch FROM r.as_of_on), 0)::float8 AS as_of_epoch
FROM unnest(@kinds::text[]) AS k (kind)
LEFT JOIN LATERAL (
  SELECT l.finished_at, l.as_of_on FROM runs l
  WHERE l.kind = k.kind::run_kind AND l.status = 'finished'
    AND NOT EXISTS (SELECT FROM run_purges p WHERE p.run_id = l.id AND p.dry_run)
  ORDER BY l.id DESC LIMIT 1
) r ON true
ORDER BY k.kind
LIMIT 20;

-- CountOpenSessions returns how many sessions are neither revoked nor expired. Some of
-- them may have been idle for too long.
--
-- name: CountOpenSessions :one
SELECT count(*) FROM sessions WHERE expires_at > now() AND revoked_at IS NULL;

-- CountRecentLoginAttempts returns how many attempts to log in were made within the
-- window, by what became of them.
--
-- name: CountRecentLoginAttempts :many
SELECT outcome, count(*) AS attempts FROM login_attempts
WHERE attempted_at > now() - make_interval(secs => @window_seconds::int)
GROUP BY outcome
ORDER BY outcome
LIMIT 20;
