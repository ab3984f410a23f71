-- +goose Up
-- One more kind of runs: it compares the database with what the migrations make. A
-- value of an enumeration can be used only after the transaction that adds it, so
-- this is a migration of its own. It takes no lock that a query waits for. The
-- previous release runs on: it never makes such runs, and lists those of others.
ALTER TYPE run_kind ADD VALUE 'check_schema';
