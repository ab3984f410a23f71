// The operations page, as its users use it: each test is somebody at work.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { base, launch, open, picture, serious, sideways, tabbed } from "./page.js";

const password = process.env.LOANSERVE_OPS_PASSWORD;
const token = process.env.LOANSERVE_TOKEN;
assert(password && token, "a demo says how to log in");

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

// api asks the API as a program would.
async function api(method, path, body, headers = {}) {
  const answer = await fetch(base + path, {
    method, body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers },
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}
const key = () => ({ "Idempotency-Key": crypto.randomUUID() });
const loanOf = async (number) => (await api("GET", `/v1/loans?loan_number=${number}`)).data[0].loan_id;

// login opens the pages for somebody, and returns them with what is asserted at the end.
async function login(t, name, options = {}) {
  const opened = await open(browser, { viewport: { width: 1280, height: 900 }, ...options });
  t.after(opened.close);
  const { page } = opened;
  await page.goto(`${base}/ops/`);
  assert.match(page.url(), /\/ops\/login$/);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  return opened;
}

// sound asserts what every page is held to.
async function sound(page, what) {
  assert.deepEqual(await serious(page), [], what);
  assert.ok((await sideways(page)) <= 0, `${what} is wider than its window`);
}

// clean asserts that nothing went wrong but for what was expected. What a page still
// loads when it is left is given up by the browser.
function clean({ wrong, foreign }, expected = /^$/) {
  assert.deepEqual(wrong.filter((text) => !/net::ERR_ABORTED$/.test(text) && !expected.test(text)), []);
  assert.deepEqual(foreign, []);
}

test("somebody mistypes his password, logs in and out", async (t) => {
  const opened = await open(browser, { viewport: { width: 1280, height: 900 } });
  t.after(opened.close);
  const { page } = opened;
  await page.goto(`${base}/ops/loans?q=LS`);
  await sound(page, "the login");
  await page.getByLabel("Name").fill("olivia");
  await page.getByLabel("Password").fill("not that");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").textContent(), /wrong/);
  await sound(page, "the login that failed");
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Loans" }).waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { level: 1, name: "Log in" }).waitFor();
  await page.goto(`${base}/ops/loans`);
  assert.match(page.url(), /\/ops\/login/);
  // A wrong password is answered 401, which the browser notes.
  clean(opened, /status of 401/);
});

test("an exception is resolved", async (t) => {
  const loan = await loanOf("LS-1012");
  const file = "loan_number,amount,received_on,channel,designation,external_ref\n" +
    `NO-SUCH-LOAN,150.00,2026-10-30,check,periodic,browser-${Date.now()}\n`;
  const batch = await api("POST", "/v1/payment-batches?format=csv&items=1&total_cents=15000", file, { ...key(), "Content-Type": "text/csv" });
  await api("GET", `/v1/payment-batches/${batch.batch_id}`, undefined, { Prefer: "wait=20" });

  const opened = await login(t, "olivia");
  const { page } = opened;
  await page.getByRole("link", { name: "Exceptions", exact: true }).click();
  await sound(page, "the exceptions");
  await picture(page, "ops-exceptions");
  await page.locator(`a[href*="${batch.batch_id}"]`).first().click();
  await page.getByText("Resolve the exception…").click();
  await page.getByLabel("What becomes of it").selectOption("assign");
  await page.getByRole("button", { name: "Resolve the exception" }).click();
  await page.getByRole("alert").waitFor(); // The loan is missing: nothing is lost, and it says so.
  await sound(page, "the form that was refused");
  await page.getByLabel("Loan to assign it to").fill(String(loan));
  await page.getByRole("button", { name: "Resolve the exception" }).click();
  await page.getByRole("status").waitFor();
  const items = await api("GET", `/v1/payment-batches/${batch.batch_id}/items`);
  assert.equal(items.data[0].loan_id, loan);
  assert.notEqual(items.data[0].status, "exception");
  clean(opened, /status of 422/);
});

test("a payment is reversed, which a second person approves", async (t) => {
  const loan = await loanOf("LS-1002");
  const posted = await api("POST", `/v1/loans/${loan}/payments`,
    { amount_cents: 5000, received_on: "2026-10-31", channel: "check", designation: "principal" }, key());
  await api("GET", `/v1/payments/${posted.payment_id}`, undefined, { Prefer: "wait=20" });

  const asking = await login(t, "olivia");
  await asking.page.goto(`${base}/ops/payments/${posted.payment_id}`);
  await asking.page.getByRole("heading", { name: "How it was divided" }).waitFor();
  await sound(asking.page, "a payment");
  await picture(asking.page, "ops-payment");
  await asking.page.getByText("Reverse the payment…").click();
  await asking.page.getByLabel("Reason").fill("misapplied");
  await asking.page.getByLabel("Note").fill("It was another loan's.");
  await asking.page.getByRole("button", { name: "Reverse the payment" }).click();
  await asking.page.getByRole("status").waitFor();
  await asking.page.getByText("pending approval").first().waitFor();
  assert.equal(await asking.page.getByText("Approve the reversal…").count(), 0);

  const approving = await login(t, "amir");
  await approving.page.getByRole("link", { name: "Reversals", exact: true }).click();
  await sound(approving.page, "the reversals");
  await approving.page.locator(`a[href$="${posted.payment_id}"]`).first().click();
  await approving.page.getByText("Approve the reversal…").click();
  await picture(approving.page, "ops-approval");
  await approving.page.getByRole("button", { name: "Approve the reversal" }).click();
  await approving.page.getByRole("status").waitFor();
  // The page brings itself up to date.
  await approving.page.locator("#live > .lead .tone", { hasText: "reversed" }).waitFor({ timeout: 20_000 });
  clean(asking);
  clean(approving);
});

test("a run is watched to its end", async (t) => {
  const opened = await login(t, "olivia");
  const { page } = opened;
  await page.getByRole("link", { name: "Runs", exact: true }).click();
  await sound(page, "the runs");
  await page.getByText("Check the data…").click();
  await page.getByLabel("The arithmetic too").check();
  await page.getByRole("button", { name: "Check the data" }).click();
  await page.waitForURL(/\/ops\/runs\/[0-9a-f-]{36}/);
  await page.locator("#live > .lead .tone", { hasText: "finished" }).waitFor({ timeout: 30_000 });
  assert.equal(await page.locator("progress").getAttribute("value"), await page.locator("progress").getAttribute("max"));
  await sound(page, "a run");
  await picture(page, "ops-run");
  clean(opened);
});

test("an escrow account is analyzed, and its statement opened", async (t) => {
  const loan = await loanOf("LS-1005");
  const opened = await login(t, "olivia");
  const { page } = opened;
  await page.goto(`${base}/ops/loans/${loan}`);
  await page.getByText("Analyze escrow…").click();
  await page.getByLabel("As of").fill(new Date().toISOString().slice(0, 10));
  await page.getByRole("button", { name: "Analyze escrow" }).click();
  await page.waitForURL(/\/ops\/analyses\//);
  await page.locator("#live > .lead .tone", { hasText: "finished" }).waitFor({ timeout: 20_000 });
  await page.locator("figure.chart canvas").waitFor();
  await sound(page, "an analysis");
  await picture(page, "ops-analysis");
  const statement = page.getByRole("link", { name: "Statement", exact: true });
  // It is made a moment after the analysis.
  for (let i = 0; i < 50; i++) {
    const answer = await page.request.get(base + (await statement.getAttribute("href")));
    if (answer.ok()) break;
    await page.waitForTimeout(200);
  }
  await statement.click();
  await page.getByText("Escrow", { exact: false }).first().waitFor();
  assert.match(page.url(), /\/statement\?format=html$/);
  await picture(page, "ops-statement");
  // The statement's policy is a sandbox, into which the test's own script does not fit.
  clean(opened, /serviceWorker/);
});

test("a queue is paused, and a job that was given up is tried again", async (t) => {
  const loan = await loanOf("LS-1014");
  const opened = await login(t, "olivia");
  const { page } = opened;
  await page.getByRole("link", { name: "Queues", exact: true }).click();
  await sound(page, "the queues");
  await picture(page, "ops-queues");
  await page.getByText("Pause payments…", { exact: true }).click();
  await page.getByRole("button", { name: "Pause payments", exact: true }).click();
  await page.getByRole("status").waitFor();

  // The workers know of it by and by: one payment after another, until one stays.
  let job;
  for (let i = 0; i < 100 && !job; i++) {
    await api("POST", `/v1/loans/${loan}/payments`,
      { amount_cents: 100, received_on: "2026-10-31", channel: "check", designation: "principal" }, key());
    await page.waitForTimeout(300);
    job = (await api("GET", "/v1/jobs?state=available&queue=payments")).data?.[0];
  }
  assert.ok(job, "a paused queue works on");
  await page.goto(`${base}/ops/queues/jobs/${job.job_id}`);
  await page.getByText("Cancel it…").click();
  await page.getByRole("button", { name: "Cancel it" }).click();
  await page.getByText("Try it again now…").click();
  await sound(page, "a job");
  await page.getByRole("button", { name: "Try it again now" }).click();
  await page.getByRole("status").waitFor();
  await page.goto(`${base}/ops/queues`);
  await page.getByText("Resume payments…", { exact: true }).click();
  await page.getByRole("button", { name: "Resume payments", exact: true }).click();
  await page.getByRole("status").waitFor();
  for (let i = 0; i < 100; i++) {
    if ((await api("GET", `/v1/jobs/${job.job_id}`)).state === "completed") break;
    await page.waitForTimeout(200);
  }
  assert.equal((await api("GET", `/v1/jobs/${job.job_id}`)).state, "completed");
  clean(opened);
});

const looks = {
  "a desk": { viewport: { width: 1280, height: 900 } },
  "a dark desk": { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  "a phone": { viewport: { width: 390, height: 844 } },
  "a desk without scripts": { viewport: { width: 1280, height: 900 }, javaScriptEnabled: false },
};
for (const [name, options] of Object.entries(looks)) {
  test(`every page on ${name}`, async (t) => {
    const loan = await loanOf("LS-1004");
    for (const [who, paths] of Object.entries({
      olivia: [
        "/ops/", "/ops/loans", `/ops/loans/${loan}`, `/ops/loans/${loan}/transactions`, "/ops/payments", "/ops/reversals",
        "/ops/batches", "/ops/exceptions", "/ops/changes", "/ops/analyses", "/ops/disbursements", "/ops/runs",
        "/ops/queues", "/ops/queues/jobs?state=completed", "/ops/backups", "/ops/findings", "/ops/sessions",
      ],
      ada: ["/ops/", "/ops/users", "/ops/users/1", "/ops/audit", "/ops/backups"],
    })) {
      const opened = await login(t, who, options);
      for (const path of paths) {
        const answer = await opened.page.goto(base + path);
        assert.equal(answer.status(), 200, path);
        if (options.javaScriptEnabled !== false) await sound(opened.page, path);
        await picture(opened.page, `${name.replaceAll(" ", "-")}${path.replaceAll(/[^a-z0-9]+/g, "-")}`);
      }
      clean(opened);
    }
  });
}

test("the keyboard reaches the menu, and what can be done", async (t) => {
  const { page } = await login(t, "olivia");
  await page.goto(`${base}/ops/runs`);
  const reached = await tabbed(page, 60);
  assert.match(reached[0], /Skip to the content/);
  assert.ok(reached.some((text) => /Close a day/.test(text)), reached.join("\n"));
  assert.ok(reached.some((text) => /^A Payments/.test(text)));
});
