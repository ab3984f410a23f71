-- +goose Up
-- Money that leaves escrow: new kinds of transactions. They are of no use in the
-- transaction that adds them. Adding a value takes a lock on the type alone, and
-- for a moment; the previous release never reads them, because nothing has them yet.
ALTER TYPE transaction_kind ADD VALUE 'escrow_disbursement';
ALTER TYPE transaction_kind ADD VALUE 'escrow_refund';
