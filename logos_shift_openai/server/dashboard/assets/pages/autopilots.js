// The autopilots of all datasets, and the way to a new one; for the tuning page. Its JSON: /v1/autopilot, /v1/datasets.

import { h } from "../dom.js";
import { badge, card, choice, labelled, table, when } from "../parts.js";

export const MODES = { off: "", notify: "info", on: "good" };
export const place = (dataset) => `/autopilot/${encodeURIComponent(dataset)}`;

export function autopilots(all, datasets, context) {
  const columns = [
    { name: "Dataset", cell: (one) => h("a", { href: place(one.dataset) }, one.dataset) },
    { name: "Autopilot", cell: (one) => badge(one.mode, MODES[one.mode]) },
    { name: "Where it is", cell: (one) => (one.asks ? badge("waits for you", "warn") : one.phase) },
    { name: "Why", kind: "why", cell: (one) => one.why },
    { name: "Changed", cell: (one) => when(one.updated) },
  ];
  return card(
    "Autopilot",
    all.length ? table("Autopilots by their datasets", columns, all) : h("p", { class: "muted" }, "Enough new good examples, an edition, a tuning job, held-out questions, a rollout: by itself, with your word before each step or without."),
    context.session?.scope === "admin" ? begin(all, datasets) : null,
  );
}

function begin(all, datasets) {
  const taken = new Set(all.map((one) => one.dataset));
  const free = datasets.map((one) => one.name).filter((name) => !taken.has(name));
  if (!free.length) return null;
  const go = (event) => {
    event.preventDefault();
    location.assign(place(new FormData(event.target).get("dataset")));
  };
  return h("form", { class: "line", on: { submit: go } }, labelled("Of a dataset without one", choice("dataset", free.map((name) => [name, name]), free[0])), h("button", { type: "submit" }, "Give it one"));
}
