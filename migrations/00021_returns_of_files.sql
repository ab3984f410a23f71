-- +goose Up
-- Items of a file that return a payment, and items that are cheap to change.
--
-- Takes the exclusive lock of payment_batch_items. Under it, two indexes read
-- the table; the constraints are checked by the next file, under a lock that
-- nobody waits for. The previous release runs on: it stores no returns, and the
-- rows that it writes keep the new rules as they kept the old ones.

-- return_code and original_trace are of a return, and tell it from a payment.
-- returned_payment_id is the payment that it means, once that is known for
-- certain or a person has named it; reversal_id is the reversal made of it. An
-- item has become a payment or returns one, so payment_id is never of a return.
-- stored: its payment waits to be posted, or its reversal. closed: a person has
-- seen to it otherwise.
ALTER TABLE payment_batch_items
  ADD COLUMN return_code text CHECK (return_code ~ '^R[0-9]{2}$'),
  ADD COLUMN original_trace text CHECK (original_trace ~ '^[0-9]{15}$'),
  ADD COLUMN returned_payment_id uuid REFERENCES payments ON DELETE RESTRICT,
  ADD COLUMN reversal_id uuid REFERENCES payment_reversals ON DELETE RESTRICT;
CREATE INDEX payment_batch_items_returned_payment_id_idx ON payment_batch_items (returned_payment_id)
  WHERE returned_payment_id IS NOT NULL;
CREATE UNIQUE INDEX payment_batch_items_reversal_id_idx ON payment_batch_items (reversal_id)
  WHERE reversal_id IS NOT NULL;

ALTER TABLE payment_batch_items
  DROP CONSTRAINT payment_batch_items_check,  -- by payment_check
  DROP CONSTRAINT payment_batch_items_check2, -- by reasoned_check
  DROP CONSTRAINT payment_batch_items_check3, -- by resolved_check
  ADD CONSTRAINT payment_batch_items_payment_check CHECK (
    (return_code IS NULL AND status IN ('stored', 'posted', 'rejected')) = (payment_id IS NOT NULL)) NOT VALID,
  ADD CONSTRAINT payment_batch_items_reasoned_check CHECK (
    (status IN ('rejected', 'exception', 'returned', 'closed')) = (reason IS NOT NULL)) NOT VALID,
  ADD CONSTRAINT payment_batch_items_resolved_check CHECK (
    status NOT IN ('returned', 'closed') OR resolved_at IS NOT NULL) NOT VALID,
  ADD CONSTRAINT payment_batch_items_return_check CHECK (CASE
    WHEN return_code IS NULL THEN original_trace IS NULL AND returned_payment_id IS NULL AND reversal_id IS NULL
      AND status NOT IN ('reversed', 'closed')
    ELSE original_trace IS NOT NULL AND status NOT IN ('posted', 'returned')
      AND (status IN ('exception', 'closed') OR returned_payment_id IS NOT NULL)
      AND (returned_payment_id IS NULL OR loan_id IS NOT NULL)
      AND (reversal_id IS NULL OR status IN ('stored', 'reversed', 'rejected'))
      AND (status <> 'reversed' OR reversal_id IS NOT NULL)
    END) NOT VALID;
GRANT UPDATE (returned_payment_id, reversal_id) ON payment_batch_items TO loanserve_app;

-- Every posting changes an item's status. Without an index on it, and with room
-- for the new version beside the old one, that touches no index at all: it costs
-- half as much, and writes a third of the WAL (docs/performance.md). To count a
-- batch's items, or find those of one status, reads its rows in their order.
DROP INDEX payment_batch_items_status_idx;
ALTER TABLE payment_batch_items SET (fillfactor = 50);
