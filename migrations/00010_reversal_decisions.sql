-- +goose Up
-- A wish to reverse a payment may wait for a second principal, who approves or
-- refuses it. A value that is added to an enumeration can be used only once the
-- transaction that adds it is over, so what uses these is in the next file.
--
-- Takes no lock that reading or changing rows waits for. The previous release
-- never writes the values, and reads a status as the text that it is.
ALTER TYPE reversal_status ADD VALUE 'pending_approval' BEFORE 'requested';
ALTER TYPE reversal_status ADD VALUE 'refused';
