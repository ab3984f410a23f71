-- +goose Up
-- Reversals that wait for a second principal, and reversals of reversals.
--
-- A payment may be reversed, count again and be reversed again, so that there
-- are many reversals of it. What is unique is the one that is open, and the one
-- that is in force: posted, and not undone.
--
-- Takes the exclusive lock of payment_reversals and reads the table several
-- times under it; the table has a row for each payment that came back, which is
-- few. The references take a lock on the same table only. The previous release
-- runs on: what it inserts asks for no approval, and a wish to undo a reversal
-- that it works is rejected by it, because the payment is not posted.
ALTER TABLE payment_reversals
  ADD COLUMN reverses uuid, -- the reversal that this one undoes: its payment counts again
  ADD COLUMN note text CHECK (length(note) BETWEEN 1 AND 500),
  ADD COLUMN undone_at timestamptz,
  ADD COLUMN approval_required boolean NOT NULL DEFAULT false,
  ADD COLUMN decided_by text CHECK (length(decided_by) BETWEEN 1 AND 200),
  ADD COLUMN decided_at timestamptz,
  ADD COLUMN decision_note text CHECK (length(decision_note) BETWEEN 1 AND 500);

-- An undoing is of the payment that its reversal is of.
ALTER TABLE payment_reversals
  ADD CONSTRAINT payment_reversals_id_payment_id_key UNIQUE (id, payment_id),
  ADD CONSTRAINT payment_reversals_reverses_fkey FOREIGN KEY (reverses, payment_id)
    REFERENCES payment_reversals (id, payment_id) ON DELETE RESTRICT,
  ADD CONSTRAINT payment_reversals_reverses_check CHECK (reverses <> id),
  ADD CONSTRAINT payment_reversals_undone_check
    CHECK (undone_at IS NULL OR status = 'posted' AND reverses IS NULL);

-- Who asked does not decide, and nothing that waits for a decision goes on
-- without one, whatever the program does.
ALTER TABLE payment_reversals
  ADD CONSTRAINT payment_reversals_two_principals_check CHECK (decided_by <> requested_by),
  ADD CONSTRAINT payment_reversals_decided_check CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
  ADD CONSTRAINT payment_reversals_pending_check
    CHECK ((status = 'pending_approval') = (approval_required AND decided_by IS NULL)),
  ADD CONSTRAINT payment_reversals_unasked_check CHECK (approval_required OR decided_by IS NULL),
  ADD CONSTRAINT payment_reversals_refused_check
    CHECK (status <> 'refused' OR decided_by IS NOT NULL AND decision_note IS NOT NULL),
  ADD CONSTRAINT payment_reversals_noted_check CHECK (decision_note IS NULL OR decided_by IS NOT NULL);

-- What undoes a reversal has reasons of its own. Which codes a bank returns an
-- entry with is for the program to know: rows of before may have others.
ALTER TABLE payment_reversals
  DROP CONSTRAINT payment_reversals_reason_check,
  ADD CONSTRAINT payment_reversals_reason_check CHECK (
    CASE WHEN reverses IS NULL THEN reason ~ '^(R[0-9]{2}|misapplied|duplicate|stop)$'
      ELSE reason IN ('mistaken', 'dishonored') END);

DROP INDEX payment_reversals_once_idx;
CREATE UNIQUE INDEX payment_reversals_open_idx ON payment_reversals (payment_id)
  WHERE status IN ('pending_approval', 'requested');
CREATE UNIQUE INDEX payment_reversals_in_force_idx ON payment_reversals (payment_id)
  WHERE status = 'posted' AND reverses IS NULL AND undone_at IS NULL;
CREATE INDEX payment_reversals_reverses_idx ON payment_reversals (reverses, payment_id) WHERE reverses IS NOT NULL;

-- The lists: of a payment's reversals, and of those with a status.
CREATE INDEX payment_reversals_of_payment_idx ON payment_reversals (payment_id, id);
DROP INDEX payment_reversals_payment_id_idx;
CREATE INDEX payment_reversals_status_idx ON payment_reversals (status, id);

GRANT UPDATE (undone_at, decided_by, decided_at, decision_note) ON payment_reversals TO loanserve_app;
