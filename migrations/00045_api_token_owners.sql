-- +goose Up
-- A token may belong to a user, with whom it goes, and may be good only from
-- some networks. Adds two columns whose defaults are constants: api_tokens is
-- locked for a moment and not rewritten. The previous release runs on, and would
-- let a token in from anywhere.
ALTER TABLE api_tokens
  ADD user_id bigint REFERENCES users ON DELETE CASCADE,
  ADD cidrs cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(cidrs) <= 32 AND array_position(cidrs, NULL) IS NULL);
CREATE INDEX api_tokens_user_id_idx ON api_tokens (user_id) WHERE user_id IS NOT NULL;
GRANT SELECT (user_id, cidrs) ON api_tokens TO loanserve_readonly;
