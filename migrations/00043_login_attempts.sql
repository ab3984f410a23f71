-- +goose Up
-- Attempts to log in: what throttling counts, and evidence afterwards. New tables
-- only. The previous release does not see them and runs on.

-- started is stored before the password is looked at, and counts as a failure
-- until it is known to be none: so parallel guesses cannot slip through, and a
-- process that dies in between has let nobody try for nothing. throttled was
-- refused without a look at the password; abandoned never came to be looked at.
CREATE TYPE login_outcome AS ENUM (
  'started', 'succeeded', 'wrong_password', 'unknown_name', 'disabled', 'address_refused', 'throttled', 'abandoned'
);

CREATE TABLE login_attempts (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id      bigint REFERENCES users ON DELETE SET NULL,
  name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100), -- as it was typed, in lower case
  ip           inet NOT NULL,
  -- What is counted together: one address of version 4, or a network of /64.
  network      cidr NOT NULL GENERATED ALWAYS AS (
    network(set_masklen(ip, CASE family(ip) WHEN 4 THEN 32 ELSE 64 END))) STORED,
  outcome      login_outcome NOT NULL,
  attempted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX login_attempts_user_id_idx ON login_attempts (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX login_attempts_name_idx ON login_attempts (name, attempted_at);
CREATE INDEX login_attempts_network_idx ON login_attempts (network, attempted_at) WHERE outcome <> 'succeeded';
CREATE INDEX login_attempts_attempted_at_idx ON login_attempts (attempted_at); -- the pruning's way

-- How many attempts of each outcome were pruned, by the day (UTC) they were made.
CREATE TABLE login_attempt_counts (
  attempted_on date NOT NULL CHECK (isfinite(attempted_on)),
  outcome      login_outcome NOT NULL,
  attempts     bigint NOT NULL CHECK (attempts > 0),
  PRIMARY KEY (attempted_on, outcome)
);

GRANT SELECT, INSERT, DELETE ON login_attempts TO loanserve_app;
GRANT UPDATE (outcome) ON login_attempts TO loanserve_app;
GRANT SELECT, INSERT ON login_attempt_counts TO loanserve_app;
GRANT UPDATE (attempts) ON login_attempt_counts TO loanserve_app;
GRANT SELECT ON login_attempts, login_attempts_id_seq, login_attempt_counts TO loanserve_backup;
GRANT SELECT ON login_attempts, login_attempt_counts TO loanserve_readonly;
