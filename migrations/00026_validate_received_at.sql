-- +goose Up
-- Holds the check of the migration before against the rows that were there,
-- which have no instant. In a transaction of its own it reads payments while
-- they are read and changed: its lock only keeps out other changes of the
-- schema. The previous release runs on.

ALTER TABLE payments VALIDATE CONSTRAINT payments_received_at_check;
