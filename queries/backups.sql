-- GetTrialBalanceText returns the balance of each account of the ledger, as text:
-- by it people know the books again that were restored.
--
-- name: GetTrialBalanceText :one
SELECT coalesce(string_agg(account || ' ' || balance_cents, ', ' ORDER BY account), 'empty')::text AS balances
FROM trial_balance;

-- GetChainHeadsText returns how many loans there are, and a SHA-256 over the head
-- of each one's chain of transactions.
--
-- name: GetChainHeadsText :one
SELECT (count(*) || ' loans, ' || encode(sha256(convert_to(coalesce(
  string_agg(id || ' ' || last_seq || ' ' || encode(last_hash, 'hex'), E'\n' ORDER BY id), ''), 'UTF8')), 'hex'))::text
  AS heads
FROM loans;

-- CountBrokenSeals returns how many transactions, or heads of chains, are not
-- sealed as they should be.
--
-- name: CountBrokenSeals :one
SELECT count(*) FROM broken_seals;

-- CountUnreconciledLoans returns how many loans are not the sum of their
-- transactions.
--
-- name: CountUnreconciledLoans :one
SELECT count(*) FROM unreconciled_loans;

-- CountImbalanceCents returns by how much debits and credits of the ledger differ.
--
-- name: CountImbalanceCents :one
SELECT coalesce(abs(sum(balance_cents)), 0)::bigint AS cents FROM trial_balance;

-- InsertBackup records a wish for a backup. It returns no row when the principal's
-- idempotency key is taken.
--
-- name: InsertBackup :one
INSERT INTO backups (id, kind, requested_by, idempotency_key, request_hash)
VALUES (@id, @kind, @requested_by, @idempotency_key, @request_hash)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING *;

-- GetBackup returns one backup.
--
-- name: GetBackup :one
SELECT * FROM backups WHERE id = $1;

-- GetBackupByKey returns the backup that a principal asked for under a key.
--
-- name: GetBackupByKey :one
SELECT * FROM backups WHERE requested_by = $1 AND idempotency_key = $2;

-- ListBackups returns backups, the latest wish first, before the given id, at most
-- row_limit of them. Ids are in order of time.
--
-- name: ListBackups :many
SELECT * FROM backups WHERE id < @before_id ORDER BY id DESC LIMIT @row_limit;

-- MarkBackupStored records that a backup that was asked for is in the store, and
-- returns how many it changed: none where it was recorded before.
--
-- name: MarkBackupStored :execrows
UPDATE backups SET status = 'stored', store_name = @store_name::text, size_bytes = @size_bytes::bigint,
  started_at = @started_at::timestamptz, stored_at = @stored_at::timestamptz
WHERE id = @id AND status = 'requested';

-- MarkBackupVerified records what a verification found. It returns no row where the
-- backup was pruned meanwhile.
--
-- name: MarkBackupVerified :one
UPDATE backups SET status = CASE WHEN @verified::bool THEN 'verified'::backup_status ELSE 'refused' END,
  verified_at = @verified_at::timestamptz, restore_ms = @restore_ms::bigint, findings = @findings
WHERE id = @id AND status IN ('stored', 'verified', 'refused')
RETURNING *;

-- MarkBackupFailure records why an attempt at a backup or its verification failed.
-- The last attempt at making it ends it.
--
-- name: MarkBackupFailure :one
UPDATE backups SET failed_stage = @failed_stage::text, failure = left(@failure::text, 2000),
  status = CASE WHEN @final::bool AND status = 'requested' THEN 'failed' ELSE status END
WHERE id = @id
RETURNING *;

-- MarkLostBackupsFailed gives up backups that were asked for before the moment and
-- that no job is going to make, at most ten at a time: where a worker dies in the last
-- attempt, nobody is left who would say so.
--
-- name: MarkLostBackupsFailed :many
UPDATE backups SET status = 'failed', failed_stage = 'other', failure = 'the worker died in the last attempt'
WHERE id IN (
  SELECT b.id FROM backups b
  WHERE b.status = 'requested' AND b.created_at < @before_at::timestamptz
    AND NOT EXISTS (
      SELECT FROM river.river_job j
      WHERE j.kind = @job_kind AND j.args ->> 'backup_id' = b.id::text
        AND j.state IN ('available', 'pending', 'retryable', 'running', 'scheduled')
    )
  ORDER BY b.id LIMIT 10
)
RETURNING *;

-- MarkBackupsPruned records which backups the store does not have any more: all
-- that were stored before the moment and are not among those named. It returns how
-- many.
--
-- name: MarkBackupsPruned :execrows
UPDATE backups SET status = 'pruned'
WHERE status IN ('stored', 'verified', 'refused') AND stored_at < @before_at::timestamptz
  AND store_name <> ALL(@store_names::text[]);

-- GetBackupToVerifyAgain returns a backup at random, of those that were stored long
-- enough ago, unless one such was verified again lately. It returns no row when
-- none is due.
--
-- name: GetBackupToVerifyAgain :one
SELECT * FROM backups
WHERE status IN ('verified', 'refused') AND stored_at < @stored_before::timestamptz
  AND NOT EXISTS (
    SELECT FROM backups b WHERE b.verified_at > @verified_after::timestamptz AND b.verified_at > b.stored_at + interval '1 day'
  )
ORDER BY random() LIMIT 1;

-- ListBackupStates returns of each kind the newest backup that is in the store and
-- the newest that is verified.
--
-- name: ListBackupStates :many
SELECT k.kind::backup_kind AS kind,
  coalesce(extract(epoch FROM newest.started_at), 0)::float8 AS stored_epoch,
  coalesce(newest.size_bytes, 0)::bigint AS size_bytes,
  coalesce(extract(epoch FROM newest.stored_at - newest.started_at), 0)::float8 AS took_seconds,
  coalesce(extract(epoch FROM proven.started_at), 0)::float8 AS verified_epoch,
  coalesce(proven.restore_ms, 0)::bigint AS restore_ms
FROM unnest(enum_range(NULL::backup_kind)) AS k (kind)
LEFT JOIN LATERAL (
  SELECT b.started_at, b.size_bytes, b.stored_at FROM backups b
  WHERE b.kind = k.kind AND b.started_at IS NOT NULL ORDER BY b.started_at DESC LIMIT 1
) newest ON true
LEFT JOIN LATERAL (
  SELECT b.started_at, b.restore_ms FROM backups b
  WHERE b.kind = k.kind AND b.started_at IS NOT NULL AND b.status = 'verified' ORDER BY b.started_at DESC LIMIT 1
) proven ON true
ORDER BY k.kind LIMIT 10;

-- GetArchiveSlot returns the state of a replication slot: whether somebody archives by
-- it, whether the server has given it up, and how many bytes of WAL it keeps for it.
-- It returns no row where there is no such slot.
--
-- name: GetArchiveSlot :one
SELECT s.active::bool AS active, coalesce(s.wal_status = 'lost' OR s.restart_lsn IS NULL, true)::bool AS lost,
  coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END,
    s.restart_lsn), 0)::bigint AS kept_bytes
FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = @slot_name::text;

-- CountOpenLosses returns how many open findings say that loans were lost, or that
-- nobody can tell any more.
--
-- name: CountOpenLosses :one
SELECT count(*) FROM integrity_findings
WHERE resolved_at IS NULL AND kind IN ('loan_missing', 'register_broken', 'register_cut');
