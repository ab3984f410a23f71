-- +goose Up
-- Checks that the items of before keep the rules of returns, which they do: none
-- of them is a return.
--
-- Reads payment_batch_items under a lock that lets rows be read and changed. The
-- previous release runs on.
ALTER TABLE payment_batch_items
  VALIDATE CONSTRAINT payment_batch_items_payment_check,
  VALIDATE CONSTRAINT payment_batch_items_reasoned_check,
  VALIDATE CONSTRAINT payment_batch_items_resolved_check,
  VALIDATE CONSTRAINT payment_batch_items_return_check;
