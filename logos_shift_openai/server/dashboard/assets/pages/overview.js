// What one looks at first. Its JSON: /v1/overview.

import { get } from "../api.js";
import { chart } from "../chart.js";
import { h } from "../dom.js";
import { clock, compact, count, money, percent, share } from "../format.js";
import { badge, card, empty, figure, figures, heading, note, table, when } from "../parts.js";
import { PHASES } from "./experiments.js";

const HOUR = 3600000;
export const every = 5;

export const load = () => get("/v1/overview");

export function render(data, { session }) {
  const first = heading("Overview", data.last_at ? h("span", { class: "muted" }, "last call ", when(data.last_at)) : null);
  if (data.calls === 0) return h("div", { class: "page" }, first, waits(data), beginning(session), health(data));
  return h("div", { class: "page" }, first, waits(data), tiles(data), traffic(data), h("div", { class: "two" }, datasets(data), experiments(data)), health(data));
}

function waits(data) {
  return data.waits.length === 0
    ? null
    : h("section", { class: "card warn", "aria-label": "What waits for you" }, h("h2", null, "Waits for you"), h("ul", null, data.waits.map((one) => h("li", null, one.words, leads(one) ? [" ", h("a", { href: leads(one) }, "Look")] : null))));
}

function leads(one) {
  if (one.experiment !== null) return `/experiments/${encodeURIComponent(one.experiment)}`;
  if (one.dataset !== null) return `/autopilot/${encodeURIComponent(one.dataset)}`;
  if (one.job !== null) return `/tuning/${encodeURIComponent(one.job)}`;
  return { notifications: "/settings#notifications", refused: "/refused" }[one.kind] ?? null;
}

function tiles(data) {
  const { spending, feedback } = data;
  const errors = data.lately ? data.errors_lately / data.lately : null;
  const unpriced = h("a", { href: "/settings#prices" }, "set prices to see it");
  const part = spending.priced < 0.995 ? ` of ${percent(spending.priced, 0)} of the tokens` : "";
  return figures(
    figure("Calls", compact(data.calls), `${count(data.lately)} in the last 24 hours`),
    figure("Errors, last 24 hours", percent(errors), `${count(data.errors_lately)} of ${count(data.lately)}`, errors > 0.05 ? "bad" : null),
    figure(
      "Success by feedback",
      percent(feedback.mean),
      feedback.scored ? `${percent(feedback.low)} to ${percent(feedback.high)}, of ${count(feedback.scored)} (${percent(feedback.scored / data.calls, 0)} of calls)` : "no feedback yet",
    ),
    figure("Cost so far", money(spending.cost), spending.cost === null ? unpriced : `estimate${part}`),
    figure(
      "Saved so far",
      money(spending.saved),
      spending.saved === null ? "no candidate with a price yet" : `${money(spending.saved_month)} in 30 days at today's share`,
      spending.saved >= 0.005 ? "good" : null,
    ),
  );
}

function traffic(data) {
  const end = data.now - (data.now % HOUR);
  const first = data.series.length ? data.series[0].start : end;
  const length = Math.min(48, Math.max(12, (end - first) / HOUR + 3)); // a store that is young is not drawn as two flat days
  const times = Array.from({ length }, (_, place) => end - (length - 1 - place) * HOUR);
  const by = new Map(data.series.map((one) => [one.start, one]));
  const values = (name) => times.map((time) => by.get(time)?.[name] ?? 0);
  const lines = [{ name: "Calls", values: values("calls"), colour: "--accent", fill: true, write: count }];
  if (data.series.some((one) => one.candidate > 0)) lines.push({ name: "Candidate", values: values("candidate"), colour: "--good", write: count });
  lines.push({ name: "Errors", values: values("errors"), colour: "--bad", write: count });
  return card("Calls by hour", data.series.length === 0 ? note("info", "No call in the last 48 hours.") : chart("Calls by hour, the last 48 hours", times, lines, clock));
}

function datasets(data) {
  const columns = [
    { name: "Dataset", cell: (one) => h("a", { href: `/datasets/${encodeURIComponent(one.dataset)}` }, one.dataset) },
    { name: "Calls", kind: "number", cell: (one) => count(one.calls) },
    { name: "Errors", kind: "number", cell: (one) => percent(one.errors / one.calls) },
    { name: "Success", kind: "number", cell: (one) => percent(one.success.mean) },
  ];
  return card("Datasets", table("Datasets with their calls, errors and success", columns, data.datasets.slice(0, 20)), data.datasets.length > 20 ? h("p", { class: "muted" }, `and ${count(data.datasets.length - 20)} smaller ones`) : null);
}

function experiments(data) {
  if (data.experiments.length === 0) {
    return card(
      "Experiments",
      empty("No experiment yet", h("p", null, "Send a share of the calls to a cheaper model:"), h("pre", { tabindex: "0", "aria-label": "Command" }, "logos-shift rollout start NAME \\\n  --model 'gpt-6.1-*' --candidate gpt-6.1-mini")),
    );
  }
  const columns = [
    { name: "Experiment", cell: (one) => h("a", { href: `/experiments/${encodeURIComponent(one.key)}` }, one.key) },
    { name: "Candidate", cell: (one) => one.model },
    { name: "Share", kind: "number", cell: (one) => share(one.share) },
    { name: "State", cell: (one) => badge((one.phase ?? one.state).replace("_", " "), one.state === "running" ? PHASES[one.phase] ?? "good" : "warn") },
  ];
  return card("Experiments", table("Experiments with their candidates and shares", columns, data.experiments));
}

function health(data) {
  const lines = Object.values(data.refused).reduce((sum, one) => sum + one, 0);
  const columns = [
    { name: "Key", cell: (one) => one.label || one.key_id },
    { name: "Last used", cell: (one) => when(one.last_used) },
    { name: "Config", cell: (one) => config(one, data) },
  ];
  const spool = data.spool.filter((one) => one.records > 0);
  return card(
    "Health",
    h(
      "ul",
      { class: "plain" },
      h("li", null, badge(lines ? "look" : "ok", lines ? "warn" : "good"), " ", h("a", { href: "/refused" }, `${count(lines)} lines refused`)),
      spool.map((one) => h("li", null, badge("waits", "info"), ` ${count(one.records)} records in the spool ${one.destination === "local" ? "of this machine" : `for ${one.destination}`}`)),
      h("li", null, badge("live", "info"), ` config version ${data.config_version}`),
      losses(data.processes),
    ),
    data.clients.length ? table("Clients by their keys", columns, data.clients, { shown: true }) : null,
    processes(data),
  );
}

const sum = (by) => Object.values(by).reduce((total, one) => total + one, 0);
const reasons = (by) => Object.entries(by).map(([reason, records]) => `${reason} ${count(records)}`).join(", ");

function losses({ week, ever }) {
  const lately = sum(week.lost);
  const said = lately ? ` (${reasons(week.lost)})` : "";
  return h("li", null, badge(lately ? "look" : "ok", lately ? "warn" : "good"), ` ${count(lately)} of ${count(week.kept + lately)} records lost by clients in seven days${said}, ${count(sum(ever.lost))} ever`);
}

const STATES = { live: "good", ended: "", quiet: "", stale: "warn" };

function processes(data) {
  const { processes: all, known } = data.processes;
  if (all.length === 0) return h("small", null, "What a client could not record it counts itself: ", h("code", null, "logos_shift.stats()"), ".");
  const shown = [...all].sort((one, other) => (other.warnings.length > 0) - (one.warnings.length > 0)).slice(0, 20);
  const columns = [
    { name: "Process", cell: (one) => [h("code", null, one.process.slice(0, 8)), " ", badge(one.state, STATES[one.state])] },
    { name: "Last seen", cell: (one) => when(one.last_seen) },
    { name: "Kept", kind: "number", cell: (one) => count(one.kept) },
    { name: "Lost", kind: "number", cell: (one) => count(sum(one.lost)) },
    { name: "In its spool", kind: "number", cell: (one) => (one.spool_bytes ? `${count(one.spool_bytes)} B` : "–") },
    { name: "Config", cell: (one) => (one.config_version === null ? "none" : `version ${one.config_version}${one.config_age === null ? "" : `, ${Math.round(one.config_age)} s old`}`) },
    { name: "Version", cell: (one) => one.version },
    { name: "Look at", cell: (one) => (one.warnings.length ? [badge("look", "warn"), ` ${one.warnings.join("; ")}`] : "–") },
  ];
  const caption = known > shown.length ? `Processes that record: ${count(shown.length)} of ${count(known)} heard of in seven days` : "Processes that record, heard of in seven days";
  return table(caption, columns, shown, { shown: true });
}

function config(one, data) {
  if (one.config === null) return "not asked here yet";
  const old = one.config < data.config_version;
  return [badge(old ? `version ${one.config}` : "up to date", old ? "warn" : "good"), " ", when(one.asked)];
}

function beginning(session) {
  const swap = "from logos_shift_openai import OpenAI   # was: from openai import OpenAI";
  const url = session?.local ? "" : `export LOGOS_SHIFT_URL=${location.origin}\nexport LOGOS_SHIFT_API_KEY=ls_ingest_…   # make one in Settings\n`;
  return card("Record the first call", h("p", null, "Swap one import, run your program, and its calls appear here within seconds."), h("pre", { tabindex: "0", "aria-label": "How to begin" }, url + swap));
}
