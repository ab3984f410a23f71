// The page of the API's documentation.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { base, launch, open, picture, serious, sideways, tabbed } from "./page.js";

// Swagger UI draws an operation as a button within what can be pressed too; both do
// the same, and it is not ours to change.
const ofSwaggerUI = /^nested-interactive: .*opblock-summary-control/;

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const sizes = {
  desk: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  "desk, dark": { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light" },
};

for (const [name, options] of Object.entries(sizes)) {
  test(`the documentation on a ${name}`, async (t) => {
    const { page, wrong, foreign, close } = await open(browser, options);
    t.after(close);
    const answer = await page.goto(`${base}/docs`);
    assert.equal(answer.status(), 200);
    await page.locator("[id^=operations-payments]").first().waitFor();
    await picture(page, `docs-${name.replace(", ", "-")}`);
    assert.match(await page.title(), /LoanServe/);
    assert.deepEqual((await serious(page)).filter((text) => !ofSwaggerUI.test(text)), []);
    assert.ok((await sideways(page)) <= 0, "the page is wider than its window");
    assert.ok((await tabbed(page)).length > 10, "the keyboard reaches operations");
    assert.deepEqual(wrong, []);
    assert.deepEqual(foreign, []);
  });
}
