-- +goose Up
-- Which programs may work on this schema. A release is replaced process by process, so
-- that for a while programs of the previous one work on the new schema, and may have to
-- be started again. A migration on which they could not work states here how new a
-- program has to be; older ones then refuse to start and are not ready. A new table
-- only: it takes no lock that anybody waits for, and the previous release, which does
-- not look here, runs on.
CREATE TABLE schema_requirements (
  version  bigint PRIMARY KEY CHECK (version > 0), -- the migration that states it
  -- The newest migration that a program has to know. One that stated its own number
  -- would stop the previous release at once.
  requires bigint NOT NULL CHECK (requires > 0 AND requires <= version)
);

GRANT SELECT ON schema_requirements TO loanserve_app, loanserve_readonly, loanserve_backup;
