-- InsertPrincipal keeps the name of somebody who may cause something, and who is
-- neither a user nor a token: their triggers do it for those. That he is known
-- already is no mistake; his name stays as it was first.
--
-- name: InsertPrincipal :exec
INSERT INTO principals (principal, name) VALUES (@principal, @name) ON CONFLICT (principal) DO NOTHING;
