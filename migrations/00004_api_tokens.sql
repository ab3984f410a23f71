-- +goose Up
-- Bearer tokens for machines. A token is shown once; only its SHA-256 is kept,
-- which is enough for a secret of 160 random bits. A new table only.
CREATE TABLE api_tokens (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  token_hash   bytea NOT NULL CHECK (octet_length(token_hash) = 32),
  scopes       text[] NOT NULL CHECK (cardinality(scopes) >= 1 AND array_position(scopes, NULL) IS NULL),
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz CHECK (expires_at > created_at),
  revoked_at   timestamptz,
  last_used_at timestamptz
);

GRANT SELECT, INSERT ON api_tokens TO loanserve_app;
GRANT UPDATE (revoked_at, last_used_at) ON api_tokens TO loanserve_app;
GRANT SELECT ON api_tokens, api_tokens_id_seq TO loanserve_backup;
GRANT SELECT (id, name, scopes, created_at, expires_at, revoked_at, last_used_at) ON api_tokens TO loanserve_readonly;
