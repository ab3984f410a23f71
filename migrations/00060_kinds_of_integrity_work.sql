-- +goose Up
-- Checks of the stored data are a new kind of runs. A value of a type is of no use
-- in the transaction that adds it, which is why the tables come in later files.
-- Adding one takes a lock on the type alone, and for a moment. The previous release
-- does not know the value; it lists such a run, and works no job of it.
ALTER TYPE run_kind ADD VALUE 'check_integrity';
