-- +goose Up
-- Changes that count are nearly all there are, and are looked for by loan. While the
-- table was too new for statistics the planner took the index of their status for
-- them, and read all of them for each loan. That index now holds the other changes
-- only, and those that count have one by loan.
--
-- loan_changes is locked for as long as two indexes of it take to build; nothing is
-- rewritten. The previous release lists changes by status without an index until then.
SET LOCAL lock_timeout = '3s';
CREATE INDEX loan_changes_posted_idx ON loan_changes (loan_id, posted_seq) WHERE status = 'posted';
CREATE INDEX loan_changes_open_idx ON loan_changes (status, id) WHERE status <> 'posted';
DROP INDEX loan_changes_status_idx;
