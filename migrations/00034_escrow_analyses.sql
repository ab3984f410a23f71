-- +goose Up
-- What an escrow analysis may be asked for beside its kind and its days, what an
-- impossible one is refused for, and the month that a portfolio run is for.
--
-- Columns with constant defaults or none: no row is rewritten, and each exclusive
-- lock is held for a moment. The index is built on a table that is new. The previous
-- release runs on: it leaves the columns at their defaults.

ALTER TABLE escrow_analyses
  ADD COLUMN established_on date CHECK (isfinite(established_on)), -- of an initial one: settlement, creation or transfer
  ADD COLUMN transferred boolean NOT NULL DEFAULT false,           -- the account comes from another servicer
  ADD COLUMN voluntary_cents bigint NOT NULL DEFAULT 0 CHECK (voluntary_cents BETWEEN 0 AND 100000000000),
  ADD COLUMN refused_field text CHECK (length(refused_field) BETWEEN 1 AND 200), -- what cannot be, as in request
  ADD COLUMN refused_rule text CHECK (length(refused_rule) BETWEEN 1 AND 100),   -- that sets its bound
  -- What is to be paid to the borrower because of it, so nothing where it was only tried.
  ADD CONSTRAINT escrow_analyses_dry_run CHECK (NOT dry_run OR refund_cents = 0) NOT VALID,
  ADD CONSTRAINT escrow_analyses_refused CHECK (refused_field IS NULL OR status = 'rejected') NOT VALID;
ALTER TABLE escrow_analyses VALIDATE CONSTRAINT escrow_analyses_dry_run;
ALTER TABLE escrow_analyses VALIDATE CONSTRAINT escrow_analyses_refused;

-- A run analyzes a loan once.
DROP INDEX escrow_analyses_run_id_idx;
CREATE UNIQUE INDEX escrow_analyses_run_id_idx ON escrow_analyses (run_id, loan_id) WHERE run_id IS NOT NULL;

-- Of a run of analyses: the month in which the computation years begin that it is
-- for. Without one it is for all that are due.
ALTER TABLE runs
  ADD COLUMN due_month_on date CHECK (isfinite(due_month_on) AND extract(day FROM due_month_on) = 1);

GRANT UPDATE (refused_field, refused_rule) ON escrow_analyses TO loanserve_app;
