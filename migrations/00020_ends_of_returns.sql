-- +goose Up
-- What may become of an item that returns a payment: the payment was reversed,
-- or a person closed the item. A value that is added to an enumeration can be
-- used only once the transaction that adds it is over, so what uses these is in
-- the next file.
--
-- Takes no lock that reading or changing rows waits for. The previous release
-- never writes the values; it leaves them out when it counts a batch's items.
ALTER TYPE payment_batch_item_status ADD VALUE 'reversed';
ALTER TYPE payment_batch_item_status ADD VALUE 'closed';
