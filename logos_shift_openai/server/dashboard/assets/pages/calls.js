// The list of calls with its search. Its JSON: /v1/calls. What is looked for stands in the address.

import { get, query } from "../api.js";
import { h } from "../dom.js";
import { count, duration, moment, money } from "../format.js";
import { badge, choice, empty, heading, labelled, note, table, when } from "../parts.js";

export const every = 5;

const SPANS = { "1h": 3600e3, "24h": 86400e3, "7d": 7 * 86400e3, "30d": 30 * 86400e3 };
const FIELDS = ["text", "dataset", "experiment", "variant", "model", "feedback", "errors", "within", "slower", "dearer"];
const MINUTE = 60000;

export const load = ({ query: asked }) => {
  const { within, ...rest } = Object.fromEntries(Object.entries(asked).filter(([name]) => FIELDS.includes(name) || name === "cursor"));
  const since = SPANS[within] ? Math.floor((Date.now() - SPANS[within]) / MINUTE) * MINUTE : "";
  return get(`/v1/calls${query({ ...rest, since, limit: 50, previews: true })}`);
};

export function render(data, { params }) {
  const asked = params.query;
  const filtered = FIELDS.some((name) => asked[name]);
  return h(
    "div",
    { class: "page" },
    heading("Calls"),
    searching(asked, filtered),
    data.unread ? note("info", `${count(data.unread)} calls were not looked through: their texts lie in another store.`) : null,
    data.calls.length ? table("Calls, the latest first", columns(asked), data.calls, { brief: true }) : nothing(data, filtered, asked),
    paging(data, asked),
  );
}

function searching(asked, filtered) {
  const text = h("input", { type: "search", name: "text", value: asked.text, placeholder: "Text in the request or the answer", autocomplete: "off", maxlength: 512 });
  const named = (name, placeholder) => h("input", { name, value: asked[name], placeholder, autocomplete: "off", maxlength: 512, spellcheck: "false" });
  const number = (name, placeholder) => h("input", { name, value: asked[name], placeholder, type: "number", min: 0, step: "any" });
  const submit = (event) => {
    event.preventDefault();
    const values = Object.fromEntries([...new FormData(event.target)].map(([name, value]) => [name, value.trim()]));
    location.assign(`/calls${query(values)}`);
  };
  const finer = ["experiment", "model", "slower", "dearer"];
  return h(
    "form",
    { class: "filters", role: "search", "aria-label": "Calls", on: { submit } },
    h("div", { class: "wide" }, labelled("Text", text)),
    labelled("Dataset", named("dataset", "all")),
    labelled("Variant", choice("variant", [["", "both"], ["baseline", "baseline"], ["candidate", "candidate"]], asked.variant)),
    labelled("Feedback", choice("feedback", [["", "any"], ["success", "success"], ["failure", "failure"], ["none", "none yet"]], asked.feedback)),
    labelled("Ended", choice("errors", [["", "any way"], ["true", "in an error"]], asked.errors)),
    labelled("Within", choice("within", [["", "all time"], ["1h", "the last hour"], ["24h", "24 hours"], ["7d", "7 days"], ["30d", "30 days"]], asked.within)),
    h(
      "details",
      { class: "more", open: finer.some((name) => asked[name]) },
      h("summary", null, "More"),
      h("div", { class: "filters" }, labelled("Experiment", named("experiment", "any")), labelled("Model", named("model", "any")), labelled("Took at least, ms", number("slower", "0")), labelled("Cost at least, $", number("dearer", "0"))),
    ),
    h("div", { class: "act" }, h("button", { type: "submit", class: "main" }, "Search"), filtered ? h("a", { href: "/calls" }, "Clear") : null),
  );
}

function columns(asked) {
  return [
    { name: "When", cell: (one) => h("a", { href: `/calls/${encodeURIComponent(one.id)}`, "data-keep": one.id }, when(one.at)) },
    { name: asked.text ? "Found" : "Asked and answered", kind: "said", cell: (one) => said(one, asked.text) },
    { name: "Dataset", cell: (one) => one.dataset },
    { name: "Model", cell: (one) => [one.served_model ?? one.requested_model ?? one.name ?? "–", one.assigned ? [" ", badge(one.assigned, one.assigned === "candidate" ? "info" : null)] : null, one.assigned && one.served && one.served !== one.assigned ? [" ", badge("fell back", "warn")] : null] },
    { name: "Took", kind: "number", cell: (one) => duration(one.duration_ms) },
    { name: "Cost", kind: "number", cell: (one) => (one.cost === null ? h("span", { class: "none" }, "–") : money(one.cost)) },
    { name: "Feedback", cell: verdict },
  ];
}

function said(one, text) {
  if (one.error) return h("span", { class: "bad" }, one.error.message ?? one.error.type);
  if (one.match) return h("span", null, marked(one.match, text));
  if (one.bodies === false) return h("span", { class: "muted" }, "left behind by its client, as sampling asks");
  if (one.elsewhere) return h("span", { class: "muted" }, "in the bucket");
  if (!one.asked && !one.answered) return h("span", { class: "muted" }, "not kept");
  return [h("span", { class: "asked" }, one.asked ?? "–"), h("span", { class: "answered" }, one.answered ?? "–")];
}

// Marks what was found, where folding the case does not move it.
function marked(excerpt, text) {
  const at = excerpt.toLowerCase().indexOf(text.toLowerCase());
  if (at < 0) return excerpt;
  return [excerpt.slice(0, at), h("mark", null, excerpt.slice(at, at + text.length)), excerpt.slice(at + text.length)];
}

export function verdict(one) {
  if (!one.feedback) return h("span", { class: "muted none" }, "–");
  const { score } = one.feedback;
  return badge(score === 1 ? "success" : score === 0 ? "failure" : score.toFixed(2), score >= 0.5 ? "good" : "bad");
}

function nothing(data, filtered, asked) {
  if (data.next) return empty("Nothing found yet", h("p", null, `A look goes through the latest ${asked.text ? "1,000" : asked.dearer ? "2,000" : "20,000"} calls at a time; this one came back to ${moment(data.searched_to)}.`));
  if (filtered || asked.cursor) return empty("No call fits", h("p", null, h("a", { href: "/calls" }, "Show all calls")));
  return empty("No call yet", h("p", null, "Calls appear here within seconds of being made."));
}

function paging(data, asked) {
  const onwards = data.next ? h("a", { class: "button", href: `/calls${query({ ...asked, cursor: data.next })}` }, data.calls.length ? "Older" : "Search further back") : null;
  const begin = asked.cursor ? h("a", { class: "button", href: `/calls${query({ ...asked, cursor: null })}` }, "Back to the latest") : null;
  const limit = asked.text && data.calls.length ? h("span", { class: "muted" }, data.next ? `Looked back to ${moment(data.searched_to)}.` : "Looked through all calls.") : null;
  return h("p", { class: "paging" }, begin, onwards, limit);
}
