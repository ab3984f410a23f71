-- CountRegisteredLoans counts the loans there must be and the loans there are.
--
-- name: CountRegisteredLoans :one
SELECT count(*) AS registered, coalesce(max(r.entry), 0)::bigint AS last_entry,
  coalesce(max(r.loan_id), 0)::bigint AS highest_registered_id,
  (SELECT count(*) FROM loans) AS loans, (SELECT coalesce(max(l.id), 0) FROM loans l)::bigint AS highest_loan_id
FROM loan_register r;

-- CountMissingLoans counts the loans that are registered and not there.
--
-- name: CountMissingLoans :one
SELECT count(*) FROM loan_register r WHERE NOT EXISTS (SELECT FROM loans l WHERE l.id = r.loan_id);

-- ListMissingLoans returns the loans that are registered and not there, in order of
-- id.
--
-- name: ListMissingLoans :many
SELECT r.loan_id, r.loan_number, r.entry, r.boarded_at FROM loan_register r
WHERE NOT EXISTS (SELECT FROM loans l WHERE l.id = r.loan_id)
ORDER BY r.loan_id
LIMIT @row_limit;

-- ListUnregisteredLoans returns the loans that are there and not registered, in order
-- of id.
--
-- name: ListUnregisteredLoans :many
SELECT l.id AS loan_id, l.loan_number FROM loans l
WHERE NOT EXISTS (SELECT FROM loan_register r WHERE r.loan_id = l.id)
ORDER BY l.id
LIMIT @row_limit;

-- ListBrokenRegisterEntries returns the entries whose hash does not follow from the
-- one before.
--
-- name: ListBrokenRegisterEntries :many
SELECT entry, loan_id FROM broken_register_entries ORDER BY entry LIMIT @row_limit;

-- ListCutRegisterAnchors returns the entries that were seen in the register and are
-- not there, or not as they were.
--
-- name: ListCutRegisterAnchors :many
SELECT a.entry, a.seen_at FROM register_anchors a
WHERE NOT EXISTS (SELECT FROM loan_register r WHERE r.entry = a.entry AND r.hash = a.hash)
ORDER BY a.entry
LIMIT @row_limit;

-- InsertRegisterAnchor remembers the end of the register, unless it was seen before.
--
-- name: InsertRegisterAnchor :exec
INSERT INTO register_anchors (entry, hash, seen_at)
SELECT r.entry, r.hash, now() FROM loan_register r ORDER BY r.entry DESC LIMIT 1
ON CONFLICT (entry) DO NOTHING;
