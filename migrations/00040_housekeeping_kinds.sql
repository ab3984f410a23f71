-- +goose Up
-- Two more kinds of runs: they delete sessions and login attempts. A value of an
-- enumeration can be used only after the transaction that adds it, so this is a
-- migration of its own. It takes no lock that a query waits for. The previous
-- release runs on: it never makes such runs, and lists those of others.
ALTER TYPE run_kind ADD VALUE 'clean_up_sessions';
ALTER TYPE run_kind ADD VALUE 'prune_login_attempts';
