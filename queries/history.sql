-- InsertDeleted puts back what a transaction deleted, and returns what it did, step by
-- step; nothing when it was put back before. Only the owner of the tables may.
--
-- name: InsertDeleted :one
SELECT undelete(@xid::text)::text[] AS steps;
