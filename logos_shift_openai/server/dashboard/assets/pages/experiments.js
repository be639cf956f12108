// The experiments and their rollouts. Its JSON: /v1/experiments and /v1/rollouts.

import { get, together } from "../api.js";
import { h } from "../dom.js";
import { share } from "../format.js";
import { badge, card, empty, heading, table } from "../parts.js";

export const every = 5;
export const PHASES = { ramping: "info", shadow: "info", held_back: "info", paused: "warn", rolled_back: "bad", done: "good" };

/** How an experiment stands, in a word: its rollout's phase, unless the config has stopped or paused it. */
export function stands(experiment, rollout) {
  const state = experiment?.state ?? (experiment ? "running" : "gone from the config");
  if (rollout === null || (state !== "running" && rollout.phase !== "rolled_back")) return badge(state, state === "running" ? "good" : "warn");
  return badge(rollout.phase.replace("_", " "), PHASES[rollout.phase]);
}

export const load = () => together("experiments", { experiments: get("/v1/experiments"), rollouts: get("/v1/rollouts") });

export function render({ experiments, rollouts }) {
  const by = new Map(rollouts.rollouts.map((one) => [one.experiment, one]));
  const known = new Set(experiments.experiments.map((one) => one.key));
  const rows = [
    ...experiments.experiments.map((one) => ({ key: one.key, experiment: one, rollout: by.get(one.key) ?? null })),
    ...rollouts.rollouts.filter((one) => !known.has(one.experiment)).map((one) => ({ key: one.experiment, experiment: null, rollout: one })),
  ];
  const columns = [
    { name: "Experiment", cell: (one) => h("a", { href: `/experiments/${encodeURIComponent(one.key)}` }, one.key) },
    { name: "Candidate", cell: (one) => one.experiment?.candidate.model ?? "–" },
    { name: "Dataset", cell: (one) => (one.experiment ? one.experiment.dataset ?? "*" : "–") },
    { name: "Share", kind: "number", cell: (one) => share(one.rollout?.share ?? one.experiment?.share ?? 0) },
    { name: "Stands", cell: (one) => stands(one.experiment, one.rollout) },
    { name: "Why", kind: "why", cell: (one) => h("span", { class: "muted" }, one.rollout?.why ?? "without a rollout: its share is set by hand") },
  ];
  return h("div", { class: "page" }, heading("Experiments"), rows.length ? card("All of them", table("Experiments with their candidates and shares", columns, rows)) : beginning());
}

function beginning() {
  return empty(
    "No experiment yet",
    h("p", null, "Send a share of the calls to a cheaper model, and let proof decide how it goes on:"),
    h("pre", { tabindex: "0", "aria-label": "Command" }, "logos-shift rollout start NAME \\\n  --model 'gpt-6.1-*' --candidate gpt-6.1-mini"),
  );
}
