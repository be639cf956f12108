// A chart over time by uPlot, with the same numbers as a table for who cannot see it.

import { fill, h } from "./dom.js";
import { table } from "./parts.js";

const days = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });
const exact = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const hoursOfDay = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function axisTime(at) {
  const time = new Date(at);
  return time.getHours() === 0 && time.getMinutes() === 0 ? days.format(time) : hoursOfDay.format(time);
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Draw lines over time, or over steps.
 * @param {string} title what it shows, said aloud
 * @param {number[]} times milliseconds since 1970, rising; or the numbers of steps
 * @param {Array<{name: string, values: (number|null)[], colour: string, fill?: boolean, dash?: boolean, stairs?: boolean,
 *   write: (number) => string}>} lines `colour` is the name of a custom property, such as "--accent"
 * @param {(time: number) => string} write how a time, or a step, is written
 * @param {object} options `along`: what the first column is called; `steps`: these are no times; `range(low, high)` of
 *   what is drawn; `write(value)` on the axis, and `splits`, the values that are written there
 */
export function chart(title, times, lines, write, options = {}) {
  const place = h("div", { class: "plot", "aria-hidden": "true" });
  const rows = times.map((time, at) => ({ time, at })).reverse();
  const columns = [
    { name: options.along ?? "Time", cell: (row) => write(row.time) },
    ...lines.map((line) => ({ name: line.name, kind: "number", cell: (row) => (line.values[row.at] === null ? "–" : line.write(line.values[row.at])) })),
  ];
  const legend = h(
    "ul",
    { class: "legend", "aria-hidden": "true" },
    lines.map((line) => h("li", { "data-line": line.colour.slice(2), "data-dash": line.dash }, line.name)),
  );
  const numbers = h("details", null, h("summary", null, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, table(title, columns, rows)));
  const figure = h("figure", { class: "chart" }, h("figcaption", { class: "unseen" }, `${title}. The same numbers follow as a table.`), legend, place, numbers);
  draw(place, times, lines, options);
  return figure;
}

async function draw(place, times, lines, options) {
  const { default: UPlot } = await import("./vendor/uPlot.esm.js");
  let plot;
  function again() {
    const width = place.clientWidth;
    if (!place.isConnected) return stop();
    if (width === 0) return;
    plot?.destroy();
    fill(place);
    const grid = { stroke: colour("--line"), width: 1 };
    const spread = times[times.length - 1] - times[0];
    const hours = (_plot, ticks) => ticks.map((tick) => (options.steps ? tick : spread < 600000 ? exact.format(new Date(tick * 1000)) : axisTime(tick * 1000)));
    const least = options.write ? 56 : 48;
    const axis = { stroke: colour("--muted"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
    plot = new UPlot(
      {
        width,
        height: 190,
        legend: { show: false },
        cursor: { points: { size: 7 }, drag: { x: false, y: false } },
        scales: {
          x: { time: !options.steps },
          y: { range: (_plot, low, high) => options.range?.(low, high) ?? [0, Math.max(high * 1.08, 1)] },
        },
        axes: [
          { ...axis, values: hours, space: spread < 600000 && !options.steps ? 76 : 56 },
          { ...axis, size: least, splits: options.splits ? (_plot, _axis, low, high) => options.splits.filter((one) => one >= low && one <= high) : undefined, values: options.write ? (_plot, ticks) => ticks.map(options.write) : undefined },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.name,
            stroke: colour(line.colour),
            width: 2,
            fill: line.fill ? `color-mix(in srgb, ${colour(line.colour)} 14%, transparent)` : undefined,
            spanGaps: true,
            dash: line.dash ? [5, 5] : undefined,
            paths: line.stairs ? UPlot.paths.stepped({ align: 1 }) : undefined,
            points: { show: !line.dash && times.length < (line.stairs ? 3 : 12) },
            value: (_plot, value) => (value === null ? "–" : line.write(value)),
          })),
        ],
      },
      [options.steps ? times : times.map((time) => time / 1000), ...lines.map((line) => line.values)],
      place,
    );
  }
  const sized = new ResizeObserver(again);
  function stop() {
    sized.disconnect();
    removeEventListener("theme", again);
    plot?.destroy();
  }
  addEventListener("theme", again);
  sized.observe(place);
}
