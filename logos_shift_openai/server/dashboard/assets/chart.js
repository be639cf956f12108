// A chart over time by uPlot, with the same numbers as a table for who cannot see it.

import { fill, h } from "./dom.js";
import { table } from "./parts.js";

const days = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });
const hoursOfDay = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function axisTime(at) {
  const time = new Date(at);
  return time.getHours() === 0 && time.getMinutes() === 0 ? days.format(time) : hoursOfDay.format(time);
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Draw lines over time.
 * @param {string} title what it shows, said aloud
 * @param {number[]} times milliseconds since 1970, rising
 * @param {Array<{name: string, values: (number|null)[], colour: string, fill?: boolean, write: (number) => string}>} lines
 *   `colour` is the name of a custom property, such as "--accent"
 * @param {(time: number) => string} write how a time is written
 */
export function chart(title, times, lines, write) {
  const place = h("div", { class: "plot", "aria-hidden": "true" });
  const rows = times.map((time, at) => ({ time, at })).reverse();
  const columns = [
    { name: "Time", cell: (row) => write(row.time) },
    ...lines.map((line) => ({ name: line.name, kind: "number", cell: (row) => (line.values[row.at] === null ? "–" : line.write(line.values[row.at])) })),
  ];
  const legend = h(
    "ul",
    { class: "legend", "aria-hidden": "true" },
    lines.map((line) => h("li", { "data-line": line.colour.slice(2) }, line.name)),
  );
  const numbers = h("details", null, h("summary", null, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, table(title, columns, rows)));
  const figure = h("figure", { class: "chart" }, h("figcaption", { class: "unseen" }, `${title}. The same numbers follow as a table.`), legend, place, numbers);
  draw(place, times, lines);
  return figure;
}

async function draw(place, times, lines) {
  const { default: UPlot } = await import("./vendor/uPlot.esm.js");
  let plot;
  function again() {
    const width = place.clientWidth;
    if (!place.isConnected) return stop();
    if (width === 0) return;
    plot?.destroy();
    fill(place);
    const grid = { stroke: colour("--line"), width: 1 };
    const hours = (_plot, ticks) => ticks.map((tick) => axisTime(tick * 1000));
    const axis = { stroke: colour("--muted"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
    plot = new UPlot(
      {
        width,
        height: 190,
        legend: { show: false },
        cursor: { points: { size: 7 }, drag: { x: false, y: false } },
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(high * 1.08, 1)] } },
        axes: [{ ...axis, values: hours, space: 56 }, { ...axis, size: 48 }],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.name,
            stroke: colour(line.colour),
            width: 2,
            fill: line.fill ? `color-mix(in srgb, ${colour(line.colour)} 14%, transparent)` : undefined,
            points: { show: times.length < 3 },
            value: (_plot, value) => (value === null ? "–" : line.write(value)),
          })),
        ],
      },
      [times.map((time) => time / 1000), ...lines.map((line) => line.values)],
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
