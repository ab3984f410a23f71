-- SetMaxRows lets each later statement of the transaction change so many rows, where
-- the limit is ten otherwise.
--
-- name: SetMaxRows :exec
SELECT set_config('loanserve.max_rows', @max_rows::text, true);
