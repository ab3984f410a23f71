-- +goose Up
-- People who log in, what they may do, and from where. New tables, and a trigger
-- on api_tokens, which locks that small table for a moment. The previous release
-- does not see the tables and runs on.
--
-- Whoever is deleted takes along only what is nothing but his own. What he did
-- to others keeps a null reference and his name as it was.

CREATE TABLE users (
  id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name                text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._@+-]{0,99}$'), -- what is typed to log in
  full_name           text NOT NULL CHECK (length(full_name) BETWEEN 1 AND 200),
  password_hash       text NOT NULL CHECK (password_hash ~ '^\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$'),
  password_changed_at timestamptz NOT NULL DEFAULT now(),
  created_at          timestamptz NOT NULL DEFAULT now(),
  disabled_at         timestamptz
);

-- What each role allows is in the code, which knows the operations.
CREATE TABLE roles (
  id   smallint PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z]{1,30}$')
);
INSERT INTO roles (id, name) VALUES (1, 'viewer'), (2, 'operator'), (3, 'approver'), (4, 'auditor'), (5, 'admin');

CREATE TABLE user_roles (
  user_id          bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  role_id          smallint NOT NULL REFERENCES roles ON DELETE RESTRICT,
  assigned_at      timestamptz NOT NULL DEFAULT now(),
  assigned_by      bigint REFERENCES users ON DELETE SET NULL,
  assigned_by_name text NOT NULL CHECK (length(assigned_by_name) BETWEEN 1 AND 200), -- as it was then
  PRIMARY KEY (user_id, role_id)
);
CREATE INDEX user_roles_role_id_idx ON user_roles (role_id);
CREATE INDEX user_roles_assigned_by_idx ON user_roles (assigned_by) WHERE assigned_by IS NOT NULL;
-- Who makes a change does not approve it: nobody is operator and approver.
CREATE UNIQUE INDEX user_roles_maker_is_not_checker_idx ON user_roles (user_id) WHERE role_id IN (2, 3);

-- A user with entries may come only from those that are valid at the moment.
CREATE TABLE user_ip_allowlist (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id   bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  ip        cidr NOT NULL,
  label     text NOT NULL CHECK (length(label) BETWEEN 1 AND 100),
  begins_at timestamptz NOT NULL DEFAULT now(),
  ends_at   timestamptz CHECK (ends_at > begins_at),
  UNIQUE (user_id, ip)
);

-- Everybody who ever could cause something, under the name that is recorded with
-- whatever he causes: loans.boarded_by, payments.requested_by and their like hold
-- 'user:7' or 'token:12'. Rows stay when the user or the token goes, so that a
-- payment always says whose it was. Hence no foreign key either way.
CREATE TABLE principals (
  principal  text PRIMARY KEY CHECK (length(principal) BETWEEN 1 AND 200),
  name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  created_at timestamptz NOT NULL DEFAULT now()
);

-- +goose StatementBegin
-- record_principal keeps the name of a user or a token, whoever stores it.
CREATE FUNCTION record_principal() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  INSERT INTO principals (principal, name) VALUES (TG_ARGV[0] || ':' || NEW.id, NEW.name);
  RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER record_principal AFTER INSERT ON users
  FOR EACH ROW EXECUTE FUNCTION record_principal('user');
CREATE TRIGGER record_principal AFTER INSERT ON api_tokens
  FOR EACH ROW EXECUTE FUNCTION record_principal('token');
INSERT INTO principals (principal, name, created_at)
  SELECT 'token:' || id, name, created_at FROM api_tokens
  UNION ALL SELECT 'schedule', 'the program''s own schedule', now()
  UNION ALL SELECT 'command', 'an operator at the command line', now();

CREATE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON principals
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal(
    'Loans and payments name who caused them: a principal stays when the user or the token goes.');
ALTER TABLE principals ENABLE ALWAYS TRIGGER refuse_removal;

GRANT SELECT, INSERT, DELETE ON users TO loanserve_app;
GRANT UPDATE (full_name, password_hash, password_changed_at, disabled_at) ON users TO loanserve_app;
GRANT SELECT ON roles TO loanserve_app;
GRANT SELECT, INSERT, DELETE ON user_roles, user_ip_allowlist TO loanserve_app;
GRANT SELECT, INSERT ON principals TO loanserve_app;
GRANT SELECT ON users, users_id_seq, roles, user_roles, user_ip_allowlist, user_ip_allowlist_id_seq, principals
  TO loanserve_backup;
GRANT SELECT (id, name, full_name, password_changed_at, created_at, disabled_at) ON users TO loanserve_readonly;
GRANT SELECT ON roles, user_roles, user_ip_allowlist, principals TO loanserve_readonly;
