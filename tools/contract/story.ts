// A client that others' tools made from the contract, at work on a running demo:
// what it takes for granted, the compiler has read in the contract.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./build/schema.js";

const url = process.env["LOANSERVE_URL"];
const token = process.env["LOANSERVE_TOKEN"];
assert(url && token, "LOANSERVE_URL and LOANSERVE_TOKEN say where the demo is");
const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

// A loan of the demo.
const found = await api.GET("/v1/loans", { params: { query: { loan_number: "LS-1003" } } });
assert.equal(found.response.status, 200);
const loan = found.data?.data[0];
assert(loan, "the demo has the loan LS-1003");
const loanPath = { loan_id: loan.loan_id };

// A payment, twice under one key: it is taken once.
const key = `"story-${Date.now()}"`;
const submit = (cents: number) =>
  api.POST("/v1/loans/{loan_id}/payments", {
    params: { path: loanPath, header: { "Idempotency-Key": key } },
    body: { amount_cents: cents, received_on: "2026-10-30", channel: "portal" },
  });
const accepted = await submit(10_000);
assert.equal(accepted.response.status, 202);
assert(accepted.data);
const again = await submit(10_000);
assert.equal(again.response.headers.get("Idempotent-Replayed"), "true");
assert.equal(again.data?.payment_id, accepted.data.payment_id);

// The outcome, and where the money went.
const read = await api.GET("/v1/payments/{payment_id}", {
  params: { path: { payment_id: accepted.data.payment_id }, header: { Prefer: "wait=30" } },
});
assert.equal(read.data?.status, "posted");
const split = read.data.split;
assert(split, "a payment that is posted says where the money went");
const sum = split.principal_cents + split.interest_cents + split.escrow_cents + split.fee_cents +
  split.late_charge_cents + split.suspense_cents;
assert.equal(sum, 10_000, "every cent is somewhere");

// Refusals are of one type, and say where the mistake is.
const refusal = (problem: components["schemas"]["Problem"] | undefined) => {
  assert(problem);
  return `${problem.status} ${problem.code} ${problem.errors?.map((e) => e.pointer ?? e.header).join(" ")}`;
};
assert.equal(refusal((await submit(10_001)).error), "422 key-reused Idempotency-Key");
const wrong = await api.POST("/v1/loans/{loan_id}/payments", {
  params: { path: loanPath, header: { "Idempotency-Key": `"wrong-${Date.now()}"` } },
  body: { amount_cents: 0, received_on: "2026-10-30", channel: "portal" },
});
assert.equal(wrong.response.status, 422);
assert.equal(refusal(wrong.error), "422 invalid /amount_cents");

// What the contract does not have does not compile: these lines would fail the
// build if they did.
const misspelt = { amount_cent: 1, received_on: "2026-10-30", channel: "portal" } as const;
// @ts-expect-error A member that is not in the contract.
const asBody: components["schemas"]["Submission"] = misspelt;
void asBody;

console.log(`client: loan ${loan.loan_id}, payment ${accepted.data.payment_id} posted, ${sum} cents accounted for`);
