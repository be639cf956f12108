// The autopilot of a dataset: where it stands and why, what waits for a word, its switch, its policy, what it did.
// Its JSON: /v1/autopilot, /v1/autopilot/{dataset} and its history.

import { get, send, together } from "../api.js";
import { h } from "../dom.js";
import { count, json, money } from "../format.js";
import { asking, badge, card, folded, heading, ladder, say, table, when } from "../parts.js";
import { policyForm } from "../policy_form.js";
import { MODES } from "./autopilots.js";

export const every = 3;
export const title = ({ dataset }) => dataset;

const path = (dataset) => `/v1/autopilot/${encodeURIComponent(dataset)}`;

export async function load({ dataset }) {
  return together(`autopilot ${dataset}`, { dataset, all: get("/v1/autopilot"), steps: get(`${path(dataset)}/history?limit=50`) });
}

export function render({ dataset, all, steps }, context) {
  const one = all.autopilots.find((each) => each.dataset === dataset) ?? null; // of one that is not there a browser would complain
  const admin = context.session?.scope === "admin";
  const back = h("p", { class: "back" }, h("a", { href: "/tuning" }, "← Tuning"));
  const beside = [one ? badge(one.mode, MODES[one.mode]) : null, h("a", { href: `/datasets/${encodeURIComponent(dataset)}` }, "the dataset")];
  if (one === null) {
    return h(
      "div",
      { class: "page" },
      back,
      heading(dataset, ...beside),
      card("No autopilot yet", h("p", null, "Given one, it asks before each step that costs or serves; it can be told to ask nobody, within its budget."), admin ? policy(dataset, null, context) : h("p", { class: "muted" }, "An admin key may give it one.")),
    );
  }
  return h(
    "div",
    { class: "page" },
    back,
    heading(dataset, ...beside),
    one.asks ? waits(one, admin, context) : null,
    h("div", { class: "aside" }, h("div", null, standing(one, admin, context)), h("div", null, facts(one))),
    card("Policy", admin ? policy(dataset, one, context) : folded("The policy", json(one.policy), true)),
    history(steps.steps),
  );
}

async function changed(context, act, word) {
  try {
    await act();
    say(word, "good");
  } catch (error) {
    say(error.message, "bad");
  }
  await context.reload();
}

const STEPS = { tune: "the tuning job", evaluate: "the held-out questions", roll_out: "the rollout", try_gate: "the rollout behind a gate" };

function waits(one, admin, context) {
  const approve = () => changed(context, () => send("POST", `${path(one.dataset)}/approve?step=${encodeURIComponent(one.asks)}`), "Approved.");
  return h(
    "section",
    { class: "card warn", "aria-label": "Waits for you" },
    h("h2", null, "Waits for you"),
    h("p", null, one.why),
    admin ? h("div", { class: "act" }, asking("Approve", `Let it go on with ${STEPS[one.asks] ?? one.asks}?`, approve, "good")) : h("p", { class: "muted" }, "An admin key may approve it."),
  );
}

const PHASES = ["collecting", "edition", "tuning", "questions", "rollout"];
const AT = { waiting: 0, building: 1, built: 1, tuning: 2, tuned: 2, evaluating: 3, evaluated: 3, rolling: 4 };
const SWITCHES = [
  ["off", "Off", "Let it rest? A rollout under way goes on."],
  ["notify", "Ask me", "Ask before each step that costs or serves?"],
  ["on", "On", "Let it spend, train and roll out within its budget, without a word from anybody?"],
];

function standing(one, admin, context) {
  const turn = (mode) => changed(context, () => send("POST", `${path(one.dataset)}/mode`, { mode }), `It is ${mode === "notify" ? "asking" : mode}.`);
  const switches = SWITCHES.map(([mode, words, question]) =>
    one.mode === mode ? h("button", { type: "button", class: "chosen", "aria-pressed": "true", "data-keep": "mode" }, words) : asking(words, question, () => turn(mode), mode === "on" ? "good" : ""),
  );
  return card(
    "Where it stands",
    ladder("Phases of a round", PHASES, AT[one.phase] ?? 0),
    one.asks ? null : h("p", null, one.why),
    admin ? h("div", { class: "act", role: "group", "aria-label": "Switch of the autopilot" }, switches) : null,
  );
}

function facts(one) {
  const { state, spent, policy } = one;
  const month = new Date().toISOString().slice(0, 7);
  const { jobs = 0, dollars = 0 } = spent[month] ?? {};
  const of = (budget, write) => (budget === null ? "" : ` of ${write(budget)}`);
  const rows = [
    ["Round", state.round ? count(state.round) : "none yet"],
    ["In this phase", state.since ? ["since ", when(state.since)] : null],
    ["Edition", state.edition ? h("a", { href: `/v1/editions/${encodeURIComponent(state.edition)}` }, state.edition.slice(0, 20)) : null],
    ["Tuning job", state.job ? h("a", { href: `/tuning/${encodeURIComponent(state.job)}` }, state.job) : null],
    ["Candidate", state.candidate ? String(state.candidate.model) : null],
    ["Held out", state.evaluation && state.job ? h("a", { href: `/tuning/${encodeURIComponent(state.job)}` }, "its report") : null],
    ["Rollout", state.experiment ? h("a", { href: `/experiments/${encodeURIComponent(state.experiment)}` }, state.experiment) : null],
    ["This month", `${count(jobs)} of ${count(policy.jobs_per_month)} jobs, ${money(dollars)}${of(policy.money_per_month, money)}`],
    ["Changed", when(one.updated)],
  ];
  return card("Facts", h("dl", { class: "facts" }, rows.filter(([, said]) => said !== null).map(([name, said]) => [h("dt", null, name), h("dd", null, said)])), h("p", null, h("a", { href: path(one.dataset) }, "As JSON from the API")));
}

const TUNERS = ["openai", "together", "fireworks", "command", "none"].map((one) => [one, one]);
const FIELDS = [
  { name: "models", kind: "list", label: "Models, with commas", placeholder: "gpt-6.1-*" },
  { name: "base", kind: "text", label: "Model to be trained", placeholder: "gpt-5.4-nano" },
  { name: "tuner", kind: "choice", label: "Tuner", pairs: TUNERS },
  { name: "provider", kind: "text", label: "Provider", placeholder: "the tuner's own" },
  { name: "feedback", kind: "choice", label: "Good examples", pairs: [["unfailed", "no failures"], ["success", "successes alone"], ["any", "whatever it was"]] },
  { name: "new_examples", kind: "number", label: "New examples a round", placeholder: "500" },
  { name: "rows", kind: "number", label: "Rows to train on", placeholder: "200" },
  { name: "heldout", kind: "number", label: "Held out, basis points", placeholder: "1000" },
  { name: "days", kind: "number", label: "Days between rounds", placeholder: "7" },
  { name: "jobs_per_month", kind: "number", label: "Tuning jobs a month", placeholder: "4" },
  { name: "money_per_month", kind: "number", label: "Dollars a month", placeholder: "no bound" },
  { name: "price", kind: "number", label: "$ a million tokens", placeholder: "not known" },
];

function policy(dataset, one, context) {
  const save = async (asked, kept) => {
    await send("PUT", path(dataset), { policy: asked });
    kept();
    say("The policy is set.", "good");
    await context.reload();
  };
  return policyForm({
    name: "policy",
    policy: one?.policy ?? { tuner: "openai", feedback: "unfailed" },
    fields: FIELDS,
    beside: ["mode"],
    rest: "All else of it",
    hint: "JSON: settings of the tuner, the gate that a candidate must pass, how its rollout decides. What is left out has its default.",
    save,
    word: one ? "Set the policy" : "Give it an autopilot",
  });
}

function history(steps) {
  const columns = [
    { name: "When", cell: (one) => when(one.at) },
    { name: "Round", kind: "number", cell: (one) => count(one.round) },
    { name: "Step", cell: (one) => badge(one.step.replaceAll("_", " ")) },
    { name: "Why", kind: "why", cell: (one) => one.why },
  ];
  return steps.length ? card("What it did", table("Steps, the latest first", columns, steps)) : null;
}
