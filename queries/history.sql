-- InsertDeleted puts back what a transaction deleted, and returns what it did, step by
-- step; nothing when it was put back before. Only the owner of the tables may.
--
-- name: InsertDeleted :one
SELECT undelete(@xid::text)::text[] AS steps;

-- InsertHistoryParts makes the partitions of this month and of as many after it, and returns
-- how many were missing.
--
-- name: InsertHistoryParts :one
SELECT extend_history(@months::integer)::integer AS made;

-- CountOldHistory returns how many rows the months hold that ended before a moment.
--
-- name: CountOldHistory :one
SELECT count_history(@before_at::timestamptz)::bigint AS rows;

-- DeleteOldHistoryBatch drops the months that ended before a moment, and returns how
-- many rows they held.
--
-- name: DeleteOldHistoryBatch :one
SELECT drop_history(@before_at::timestamptz)::bigint AS rows;

-- GetOldestHistory returns when the oldest month begins that is kept.
--
-- name: GetOldestHistory :one
SELECT oldest_history()::timestamptz AS began_at;
