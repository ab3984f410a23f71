-- +goose Up
-- People make tokens by the API: a token says who asked for it, and the key under
-- which, so that a request that is repeated makes one token. Adds three columns
-- that may be null and an index: api_tokens, which is small, is locked for a moment
-- and not rewritten. The previous release runs on, and says of a token that it
-- makes nothing of who asked.
ALTER TABLE api_tokens
  ADD requested_by    text CHECK (length(requested_by) BETWEEN 1 AND 200), -- null of tokens made before
  ADD idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 255),
  ADD request_hash    bytea CHECK (octet_length(request_hash) = 32),
  ADD CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
  ADD CHECK (idempotency_key IS NULL OR requested_by IS NOT NULL);
CREATE UNIQUE INDEX api_tokens_idempotency_key_idx ON api_tokens (requested_by, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
GRANT SELECT (requested_by, idempotency_key, request_hash) ON api_tokens TO loanserve_readonly;
