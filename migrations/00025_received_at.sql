-- +goose Up
-- The instant at which money reached the servicer, where a client gave it: the
-- day of receipt follows from it by the deployment's zone and cut-off hour, and
-- an auditor can see from what.
--
-- Adds a column without a default, for which nothing is rewritten, and a check
-- that is not held against the rows there are, for which nothing is read. It
-- locks payments against everything, for a moment. The previous release does not
-- name the column and runs on.

ALTER TABLE payments
  ADD COLUMN received_at timestamptz,
  -- In no zone is a day further than this from that of UTC, and a cut-off hour
  -- moves it by one.
  ADD CONSTRAINT payments_received_at_check CHECK (
    received_on - (received_at AT TIME ZONE 'UTC')::date BETWEEN -1 AND 2) NOT VALID;
