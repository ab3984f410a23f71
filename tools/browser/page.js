// What every page is held to, whoever opens it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const base = process.env.LOANSERVE_URL;
assert(base, "LOANSERVE_URL says where the program is");

export const launch = () =>
  chromium.launch({
    executablePath: process.env.LOANSERVE_CHROMIUM,
    // Chromium's own sandbox does not start as root, as in a container; the only
    // pages here are our own.
    chromiumSandbox: process.getuid() !== 0,
    args: ["--disable-background-networking", "--disable-component-update"],
  });

// open returns a page of its own session that keeps account of what goes wrong. The
// page's own policy stays in force.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ serviceWorkers: "block", ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (m) => m.type() === "error" && wrong.push(`console: ${m.text()}`));
  page.on("pageerror", (e) => wrong.push(`script: ${e.message}`));
  page.on("requestfailed", (r) => wrong.push(`failed: ${r.url()} ${r.failure()?.errorText}`));
  const foreign = [];
  await context.route("**/*", (route) => {
    const url = route.request().url();
    if (url.startsWith(`${base}/`) || url.startsWith("data:")) return route.continue();
    foreign.push(url);
    return route.abort();
  });
  return { page, wrong, foreign, close: () => context.close() };
}

// serious are the findings of axe that keep people out. It runs through the
// browser's tools, which the page's policy does not bind.
export async function serious(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations
    .filter((v) => v.impact === "serious" || v.impact === "critical")
    .map((v) => `${v.id}: ${v.help}: ${[...new Set(v.nodes.map((n) => n.html.slice(0, 120)))].slice(0, 10).join(" | ")}`);
}

// sideways is by how many pixels the page is wider than its window.
export const sideways = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// tabbed returns what the tabulator reaches, in its order.
export async function tabbed(page, most = 40) {
  const reached = [];
  for (let i = 0; i < most; i++) {
    await page.keyboard.press("Tab");
    const what = await page.evaluate(() => {
      const e = document.activeElement;
      return e && e !== document.body ? `${e.tagName} ${(e.textContent ?? "").trim().slice(0, 40)}` : "";
    });
    if (!what) break;
    reached.push(what);
  }
  return reached;
}

export async function picture(page, name) {
  const directory = process.env.LOANSERVE_SCREENSHOTS;
  if (directory) await page.screenshot({ path: join(directory, `${name}.png`), fullPage: false });
}
