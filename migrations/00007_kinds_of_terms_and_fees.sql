-- +goose Up
-- Interest day by day, and fees: new values of types. They are of no use in the
-- transaction that adds them, which is why the tables come in the next file.
-- Adding a value takes a lock on the type alone, and for a moment. The previous
-- release never reads the values, because nothing has them yet.
ALTER TYPE interest_method ADD VALUE 'daily_simple_365';
ALTER TYPE transaction_kind ADD VALUE 'fee';
ALTER TYPE transaction_kind ADD VALUE 'fee_payment';
