// One tuning job: how far it is, its curves, what came of it, and of the held-out questions.
// Its JSON: /v1/tuning/{id}, and that of held_out.js.

import { get, send, together } from "../api.js";
import { chart } from "../chart.js";
import { h } from "../dom.js";
import { count, json, moment, percent } from "../format.js";
import { asking, badge, card, folded, heading, note, say, when } from "../parts.js";
import { held, heldOut } from "./held_out.js";
import { STATES } from "./tunings.js";

export const every = 3;
export const title = ({ job }) => job.id;

export const load = ({ id, query }) => together(`tuning ${location.search}`, { job: get(`/v1/tuning/${encodeURIComponent(id)}`), found: heldOut(id, query) });

export function render({ job, found }, context) {
  const open = ["new", "starting", "running", "deploying", "unsure", "overdue", "unserved"].includes(job.state);
  return h(
    "div",
    { class: "page" },
    h("p", { class: "back" }, h("a", { href: "/tuning" }, "← Tuning")),
    heading(job.id, badge(job.state, STATES[job.state]), job.cancel_asked ? badge("cancel asked for", "warn") : null),
    h("div", { class: "aside" }, h("div", null, standing(job, open, context), candidate(job), curves(job)), h("div", null, facts(job))),
    held(job, found, context.params),
  );
}

function standing(job, open, context) {
  const cancel = async () => {
    try {
      await send("POST", `/v1/tuning/${encodeURIComponent(job.id)}/cancel`);
      say("The end is asked for.", "good");
    } catch (error) {
      say(error.message, "bad");
    }
    await context.reload();
  };
  const bar = h("progress", { max: 1, value: job.fraction, "aria-label": "How far it is" });
  return card(
    "Where it is",
    job.fraction === null && !["running", "starting", "new", "deploying"].includes(job.state) ? null : h("div", null, bar, h("p", { class: "muted" }, job.fraction === null ? "not known yet" : percent(job.fraction, 0))),
    h("p", null, job.said || "Nothing has happened yet."),
    job.next_step ? note("warn", job.next_step) : null,
    open && context.session?.scope === "admin" ? h("div", { class: "act" }, asking("Cancel", "End the job?", cancel)) : null,
  );
}

function candidate(job) {
  if (job.candidate === null) return null;
  const { model, provider } = job.candidate;
  const plain = (text) => (/^[\w.:/@-]+$/.test(text) ? text : "NAME");
  return card(
    "What came of it",
    h("p", null, h("strong", null, model), provider ? ` at ${provider}` : null),
    h("p", { class: "muted" }, "Let it take calls over, step by step, on proof alone:"),
    h("pre", { tabindex: "0", "aria-label": "Command" }, `logos-shift rollout start NAME \\\n  --model 'YOUR-MODEL' --candidate ${plain(model)}${provider ? ` --provider ${plain(provider)}` : ""}`),
    Object.keys(job.candidate).length > 2 ? folded("The candidate, as an experiment has it", json(job.candidate)) : null,
  );
}

const CURVES = [["train_loss", "Loss in training", "--accent"], ["valid_loss", "Loss on what is held out", "--good"]];
const RIGHT = [["train_mean_token_accuracy", "In training", "--accent"], ["valid_mean_token_accuracy", "On what is held out", "--good"]];

function curves(job) {
  const points = job.points.filter((one) => Number.isFinite(one.step));
  const drawn = (title, names, write, range) => {
    const lines = names
      .map(([name, words, colour]) => ({ name: words, colour, write, values: points.map((one) => (Number.isFinite(one[name]) ? one[name] : null)) }))
      .filter((line) => line.values.some((value) => value !== null));
    if (!lines.length || points.length < 2) return null;
    return card(title, chart(title, points.map((one) => one.step), lines, count, { along: "Step", steps: true, range, write }));
  };
  return [
    drawn("Loss", CURVES, (value) => value.toFixed(value < 0.1 ? 3 : 2), (_low, high) => [0, high * 1.08 || 1]),
    drawn("Tokens that are right", RIGHT, (value) => percent(value, 0), () => [0, 1.05]),
  ];
}

function facts(job) {
  const { model, provider, ...rest } = job.settings;
  const more = Object.entries(rest).filter(([, value]) => value !== null && value !== 0);
  const rows = [
    ["Model", `${model}${provider ? ` at ${provider}` : ""}`],
    ["Tuner", job.tuner],
    ["Edition", h("a", { href: `/v1/editions/${encodeURIComponent(job.edition)}` }, job.edition.slice(0, 20))],
    ...more.map(([name, value]) => [(name[0].toUpperCase() + name.slice(1)).replaceAll("_", " "), String(value)]),
    ["Begun", when(job.created)],
    ["Changed", when(job.updated)],
    ["Must end by", moment(job.deadline)],
  ];
  return card("Facts", h("dl", { class: "facts" }, rows.map(([name, said]) => [h("dt", null, name), h("dd", null, said)])), h("p", null, h("a", { href: `/v1/tuning/${encodeURIComponent(job.id)}` }, "As JSON from the API")));
}
