-- +goose Up
-- Values of types for escrow analyses, bills and their payment. They are of no use
-- in the transaction that adds them. Adding a value takes a lock on the type alone,
-- and for a moment; the previous release never reads them.
ALTER TYPE escrow_line_kind ADD VALUE 'other_tax';
ALTER TYPE escrow_line_kind ADD VALUE 'earthquake_insurance';
ALTER TYPE escrow_line_kind ADD VALUE 'ground_rent';
ALTER TYPE escrow_line_kind ADD VALUE 'other';
ALTER TYPE run_kind ADD VALUE 'analyze_escrow';
ALTER TYPE run_kind ADD VALUE 'disburse_escrow';
