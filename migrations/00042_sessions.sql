-- +goose Up
-- Sessions of people, and the one-time tokens by which a forgotten password is
-- set anew. New tables only. The previous release does not see them and runs on.

-- A session ends when it is revoked, when nothing was heard of it for a while,
-- or when it expires, whatever comes first. Of its token only the SHA-256 is
-- kept. last_seen_at is not indexed, so that moving it on touches no index.
CREATE TABLE sessions (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id      bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  token_hash   bytea NOT NULL CHECK (octet_length(token_hash) = 32),
  ip           inet NOT NULL, -- where it was opened from
  user_agent   text NOT NULL CHECK (length(user_agent) <= 200),
  created_at   timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
  revoked_at   timestamptz
) WITH (fillfactor = 90);
CREATE INDEX sessions_user_id_idx ON sessions (user_id);
-- The cleanup's two ways to what has ended.
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
CREATE INDEX sessions_revoked_at_idx ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- A user has one at most: a new one replaces it, and using it removes it.
CREATE TABLE password_resets (
  user_id      bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  token_hash   bytea NOT NULL CHECK (octet_length(token_hash) = 32),
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
  requested_by text NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200)
);

GRANT SELECT, INSERT, DELETE ON sessions, password_resets TO loanserve_app;
GRANT UPDATE (last_seen_at, revoked_at) ON sessions TO loanserve_app;
GRANT SELECT ON sessions, sessions_id_seq, password_resets TO loanserve_backup;
GRANT SELECT (id, user_id, ip, user_agent, created_at, last_seen_at, expires_at, revoked_at) ON sessions
  TO loanserve_readonly;
GRANT SELECT (user_id, created_at, expires_at, requested_by) ON password_resets TO loanserve_readonly;
