-- +goose Up
-- What a loan's note or its servicer chooses, and the day on which it was paid off.
-- Columns with constant defaults: no row is rewritten, and the exclusive lock is
-- held for a moment. The previous release leaves them at their defaults.
CREATE TYPE short_payoff_policy AS ENUM ('refuse', 'hold');
ALTER TABLE loans
  ADD COLUMN late_charge_extends boolean NOT NULL DEFAULT false, -- a grace that ends on no business day ends on the next
  ADD COLUMN short_payoff_policy short_payoff_policy NOT NULL DEFAULT 'refuse',
  ADD COLUMN paid_off_on date CHECK (isfinite(paid_off_on));

GRANT UPDATE (paid_off_on) ON loans TO loanserve_app;
