-- CountRegisteredLoans counts the loans there must be and the loans there are. Entries
-- is how many entries the register must have, by the last of each of its chains.
--
-- name: CountRegisteredLoans :one
SELECT now()::timestamptz AS seen_at, count(*) AS registered, coalesce(max(r.loan_id), 0)::bigint AS highest_registered_id,
  (SELECT coalesce(sum(c.last), 0) FROM (SELECT max(e.entry) AS last FROM loan_register e GROUP BY e.chain) c)::bigint AS entries,
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
SELECT r.loan_id, r.loan_number, r.boarded_at FROM loan_register r
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
SELECT chain, entry, loan_id FROM broken_register_entries ORDER BY chain, entry LIMIT @row_limit;

-- ListCutRegisterAnchors returns the entries that were seen in the register and are
-- not there, or not as they were.
--
-- name: ListCutRegisterAnchors :many
SELECT a.chain, a.entry, a.seen_at FROM register_anchors a
WHERE NOT EXISTS (SELECT FROM loan_register r WHERE r.chain = a.chain AND r.entry = a.entry AND r.hash = a.hash)
ORDER BY a.chain, a.entry
LIMIT @row_limit;

-- InsertRegisterAnchors remembers the ends of the register's chains, unless they were
-- seen before.
--
-- name: InsertRegisterAnchors :exec
INSERT INTO register_anchors (chain, entry, hash, seen_at)
SELECT r.chain, r.entry, r.hash, now() FROM loan_register r
JOIN (SELECT chain, max(entry) AS entry FROM loan_register GROUP BY chain) e ON e.chain = r.chain AND e.entry = r.entry
ON CONFLICT (chain, entry) DO NOTHING;
