// Keeps pages up to date and draws pictures. Every page works without it.
"use strict";

// A page that nobody looks at, or has touched for a while, is not kept up to date:
// a session must end when nobody uses it.
const idleAfter = 20 * 60 * 1000;
let touched = Date.now();
for (const kind of ["pointerdown", "keydown", "scroll", "pointermove"]) {
  addEventListener(kind, () => { touched = Date.now(); }, { passive: true, capture: true });
}

// openForms says whether somebody is filling in a form that an update would take away.
function openForms(root) {
  return root.querySelector("details.action[open]") !== null || root.contains(document.activeElement) &&
    document.activeElement.matches("input, select, textarea");
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const idle = Date.now() - touched > idleAfter;
  if (document.hidden || idle || openForms(event.target)) {
    event.preventDefault();
  }
  document.body.classList.toggle("stale", idle);
});

// What the reader has opened stays open when the page is brought up to date.
document.addEventListener("htmx:beforeSwap", (event) => {
  const fresh = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
  const open = [...document.querySelectorAll("main details")].map((d) => d.open);
  const later = [...fresh.querySelectorAll("main details")];
  if (later.length === open.length) {
    later.forEach((d, i) => { d.toggleAttribute("open", open[i]); });
    event.detail.serverResponse = fresh.documentElement.outerHTML;
  }
});

const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 0 });
const counts = new Intl.NumberFormat("en-US");

function draw(figure) {
  if (figure.dataset.drawn) {
    return;
  }
  figure.dataset.drawn = "yes";
  const chart = JSON.parse(figure.dataset.chart);
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const cents = chart.unit === "cents";
  const show = (v) => v === null || v === undefined ? "" : cents ? dollars.format(v / 100) : counts.format(v);
  const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const lines = [color("--chart-1"), color("--chart-2"), color("--chart-3"), color("--chart-4")];
  const dashes = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
  const options = {
    width: figure.clientWidth, height: 240,
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
    axes: [{ ...axis }, { ...axis, size: 72, values: (u, splits) => splits.map(show) }],
    scales: { y: { range: (u, low, high) => low === high ? [Math.min(0, low), high + 1] : [Math.min(0, low), high * 1.05] } },
    series: [{ value: (u, v) => v === null ? "" : new Date(v * 1000).toISOString().slice(0, 10) }].concat(chart.series.map((s, i) => ({
      label: s.name, stroke: lines[i % lines.length], width: 2, dash: dashes[i % dashes.length],
      value: (u, v) => show(v), points: { show: chart.x.length < 40 },
      paths: chart.kind === "bars" ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined,
      fill: chart.kind === "bars" ? lines[i % lines.length] + "66" : undefined,
    }))),
  };
  const plot = new uPlot(options, [chart.x, ...chart.series.map((s) => s.values)], figure);
  new ResizeObserver(() => {
    if (figure.clientWidth > 0 && figure.clientWidth !== plot.width) {
      plot.setSize({ width: figure.clientWidth, height: options.height });
    }
  }).observe(figure);
}

function drawAll() {
  document.querySelectorAll("figure[data-chart]").forEach(draw);
}

addEventListener("DOMContentLoaded", drawAll);
document.addEventListener("htmx:afterSettle", drawAll);
