// The tuning jobs, the start of one, and the autopilots. Its JSON: /v1/tuning, /v1/autopilot; editions from /v1/editions.

import { get, send, together } from "../api.js";
import { fill, h } from "../dom.js";
import { percent } from "../format.js";
import { badge, card, choice, empty, heading, labelled, table, when } from "../parts.js";
import { autopilots } from "./autopilots.js";

export const every = 5;
export const STATES = { succeeded: "good", failed: "bad", cancelled: "", unsure: "warn", overdue: "warn", unserved: "warn", new: "info", starting: "info", running: "info", deploying: "info" };
const TUNERS = [["openai", "openai"], ["together", "together"], ["fireworks", "fireworks"], ["command", "your own script"], ["none", "none: as it is"]];

export const load = () => together("tunings", { tuning: get("/v1/tuning"), editions: get("/v1/editions"), flying: get("/v1/autopilot"), known: get("/v1/datasets") });

export function render({ tuning, editions, flying, known }, context) {
  const columns = [
    { name: "Job", cell: (one) => h("a", { href: `/tuning/${encodeURIComponent(one.id)}` }, one.id) },
    { name: "Model", cell: (one) => [one.settings.model, one.settings.provider ? h("span", { class: "muted" }, ` at ${one.settings.provider}`) : null] },
    { name: "Tuner", cell: (one) => one.tuner },
    { name: "Edition", cell: (one) => h("code", null, one.edition.slice(0, 12)) },
    { name: "State", cell: (one) => [badge(one.state, STATES[one.state]), one.fraction !== null && one.state === "running" ? ` ${percent(one.fraction, 0)}` : null] },
    { name: "What happened last", cell: (one) => one.said },
    { name: "When", cell: (one) => when(one.updated) },
  ];
  return h(
    "div",
    { class: "page" },
    heading("Tuning"),
    tuning.jobs.length ? card("Jobs", table("Tuning jobs, the latest first", columns, tuning.jobs)) : empty("No tuning job yet", h("p", null, "A job trains a cheaper model on an edition and makes a candidate of it.")),
    autopilots(flying.autopilots, known.datasets, context),
    context.session?.scope === "admin" ? starting(editions.editions, context) : null,
  );
}

function starting(editions, context) {
  if (!editions.length) return card("Start one", h("p", null, "First an edition is needed: ", h("a", { href: "/datasets" }, "choose a dataset"), " and build one."));
  const fault = h("p", { class: "fault", role: "alert" });
  const named = editions.map((one) => [one.id, `${one.id.slice(0, 8)} of ${one.dataset}, ${one.manifest.counts.train} examples`]);
  const start = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const body = Object.fromEntries([...form].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== ""));
    for (const name of ["epochs", "examples"]) if (body[name] !== undefined) body[name] = Number(body[name]);
    try {
      const job = await send("POST", "/v1/tuning", body);
      location.assign(`/tuning/${encodeURIComponent(job.id)}`);
    } catch (error) {
      fill(fault, error.message);
    }
  };
  const text = (name, placeholder, required) => h("input", { name, placeholder, required, autocomplete: "off", spellcheck: "false", maxlength: 512 });
  return card(
    "Start one",
    h("p", { class: "muted" }, "Addresses and keys are the server's own; here only their names are said."),
    h(
      "form",
      { on: { submit: start } },
      h(
        "div",
        { class: "line" },
        labelled("Edition", choice("edition", named, context.params.query.edition)),
        labelled("Tuner", choice("tuner", TUNERS, "openai")),
        labelled("Model", text("model", "gpt-5.4-nano", true)),
        labelled("Provider", text("provider", "the tuner's own")),
        labelled("Method", choice("method", [["", "supervised"], ["dpo", "dpo, on preferences"]])),
        labelled("Epochs", h("input", { name: "epochs", type: "number", min: 1, max: 50, placeholder: "the tuner's choice" })),
        labelled("Examples in the prompt", h("input", { name: "examples", type: "number", min: 0, max: 32, placeholder: "none" })),
      ),
      fault,
      h("button", { type: "submit", class: "main" }, "Start"),
    ),
  );
}
