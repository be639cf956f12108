// One experiment: where its rollout stands and why, both variants side by side, the course of its proofs, and steps by hand.
// Its JSON: /v1/experiments, /v1/rollouts?experiment=, its decisions, and /v1/shadows.

import { get, query, send, together } from "../api.js";
import { h } from "../dom.js";
import { count, duration, json, money, percent, share } from "../format.js";
import { asking, badge, bar, card, folded, heading, ladder, note, say, table, when } from "../parts.js";
import { proofs, shares } from "./courses.js";
import { stands } from "./experiments.js";

export const every = 3;
export const title = ({ key }) => key;

export async function load({ key, query: asked }) {
  const path = encodeURIComponent(key);
  const [experiments, rollouts] = await Promise.all([get("/v1/experiments"), get(`/v1/rollouts${query({ experiment: key })}`)]);
  const rollout = rollouts.rollouts[0] ?? null;
  const page = query({ limit: 20, evidence: false, before: asked.before });
  const parts = {
    key,
    rollout,
    experiment: experiments.experiments.find((one) => one.key === key) ?? null,
    decisions: rollout ? get(`/v1/rollouts/${path}/decisions${page}`) : null,
    shadows: get(`/v1/shadows${query({ experiment: key, differ: asked.pairs === "all" ? null : true, limit: 10 })}`),
    stats: rollout ? null : get(`/v1/stats${query({ experiment: key })}`),
  };
  return together(`experiment ${location.search}`, parts);
}

export function render(data, context) {
  const { key, rollout, experiment } = data;
  const first = heading(key, stands(experiment, rollout), rollout || experiment ? badge(share(rollout?.share ?? experiment.share ?? 0), "info") : null);
  const back = h("p", { class: "back" }, h("a", { href: "/experiments" }, "← Experiments"));
  if (!rollout && !experiment) return h("div", { class: "page" }, back, first, note("info", "There is no experiment of this name, and no rollout of one."));
  const top = h("div", { class: "aside" }, h("div", null, standing(data, context)), h("div", null, facts(data)));
  if (!rollout) return h("div", { class: "page" }, back, first, top, counts(data), pairs(data, context));
  return h(
    "div",
    { class: "page" },
    back,
    first,
    top,
    rollout.sides.length ? sides(rollout) : null,
    h("div", { class: "two" }, rollout.trail.length > 1 ? card("How far the proofs are", proofs(rollout)) : null, rollout.trail.length > 1 ? card("Share over time", shares(rollout)) : null),
    decisions(data, context),
    pairs(data, context),
    h("section", { class: "card", "aria-label": "Policy" }, folded("The policy, and where it stands", json({ policy: rollout.policy, state: rollout.state })), h("p", null, h("a", { href: `/v1/rollouts/${encodeURIComponent(key)}` }, "As JSON from the API"))),
  );
}

function standing({ key, rollout, experiment }, context) {
  if (!rollout) {
    return card(
      "Where it stands",
      h("p", null, `${share(experiment.share ?? 0)} of the calls go to the candidate, for as long as nobody changes it: no rollout decides here.`),
      h("pre", { tabindex: "0", "aria-label": "Command" }, `logos-shift rollout start ${/^[\w.-]+$/.test(key) ? key : "NAME"}`),
      byHand({ key, experiment }, context),
    );
  }
  const steps = [...(rollout.policy.shadow_pairs ? ["shadow"] : []), ...rollout.ladder.map(share)];
  const climbed = rollout.ladder.filter((one) => one <= rollout.share).length;
  const at = rollout.phase === "rolled_back" ? -1 : climbed - 1 + (rollout.policy.shadow_pairs ? 1 : 0);
  return card(
    "Where it stands",
    ladder("Steps of the rollout", steps, at),
    h("p", null, rollout.why),
    rollout.state.alarm ? note("bad", `The split cannot be trusted (${rollout.state.alarm}): nothing is promoted until somebody has looked and resumed it.`) : null,
    rollout.warnings.map((one) => note("warn", one)),
    byHand({ key, rollout }, context),
  );
}

const ENDED = new Set(["done", "rolled_back"]);

function byHand({ key, rollout, experiment }, context) {
  if (context.session?.scope !== "admin") return h("p", { class: "muted" }, "An admin key may step in here.");
  const path = encodeURIComponent(key);
  const act = async (verb, word) => {
    try {
      await send("POST", rollout ? `/v1/rollouts/${path}/${verb}` : `/v1/experiments/${path}/${verb}`);
      say(word, "good");
    } catch (error) {
      say(error.message, "bad");
    }
    await context.reload();
  };
  const button = (text, question, verb, word, kind = "") => asking(text, question, () => act(verb, word), kind);
  if (!rollout) {
    if (context.session.local) return h("p", { class: "muted" }, "Here it is changed with `logos-shift experiment`.");
    const running = (experiment.state ?? "running") === "running";
    return h(
      "div",
      { class: "act" },
      running ? button("Pause", "Send every call to the baseline for now?", "pause", "Paused.") : experiment.state === "paused" ? button("Resume", `Go on at ${share(experiment.share ?? 0)}?`, "resume", "Resumed.") : null,
      experiment.state === "stopped" ? null : button("Stop", "End the experiment?", "stop", "Stopped.", "danger"),
    );
  }
  const { phase, state } = rollout;
  return h(
    "div",
    { class: "act" },
    phase === "paused" || state.alarm ? button("Resume", state.alarm ? "Is the cause found? Counting begins anew." : "Go on deciding?", "resume", "Resumed.") : null,
    phase !== "paused" && !ENDED.has(phase) ? button("Pause", "Decide nothing for now? The share stays.", "pause", "Paused.") : null,
    ENDED.has(phase) ? null : button("Promote", "Give the candidate the calls without waiting for the proof?", "promote", "Promoted."),
    phase === "rolled_back" ? null : button("Roll back", "Send every call to the baseline and end the rollout?", "rollback", "Rolled back.", "danger"),
  );
}

function facts({ key, rollout, experiment }) {
  const policy = rollout?.policy;
  const model = experiment ? [experiment.candidate.model, experiment.candidate.provider ? ` at ${experiment.candidate.provider}` : null] : null;
  const rows = [
    ["Candidate", model],
    ["In the place of", experiment ? [].concat(experiment.match?.model ?? ["*"]).join(", ") : null],
    ["Dataset", experiment ? (experiment.dataset && experiment.dataset !== "*" ? h("a", { href: `/datasets/${encodeURIComponent(experiment.dataset)}` }, experiment.dataset) : "every one") : null],
    ["Drawn by", experiment?.unit ?? policy?.unit],
    ["Began", rollout ? when(rollout.started) : null],
    ["Bearable loss", policy ? `${percent(policy.margin)} of ${policy.primary.metric}` : null],
    ["Ends without proof", policy ? `after ${count(Math.round(policy.deadline_seconds / 86400))} days` : null],
    ["Calls", h("a", { href: `/calls?experiment=${encodeURIComponent(key)}` }, "its calls")],
  ];
  return card("Facts", h("dl", { class: "facts" }, rows.filter(([, said]) => said !== null && said !== undefined).map(([name, said]) => [h("dt", null, name), h("dd", null, said)])));
}

const UNITS = { rate: (value) => percent(value), ms: duration, usd: money };
const NAMES = { success: "Success", errors: "Errors", fallbacks: "Fallbacks", valid: "Valid JSON", judge: "Judge", regenerated: "Asked again", refusals: "Refusals", cut: "Cut by length", slow: "Slow calls", latency: "Latency", first_token: "First token", cost: "Cost of a call" };

function sides(rollout) {
  const looked = new Map((rollout.look?.metrics ?? []).map((one) => [one.metric, one]));
  const side = (variant, kind) => (one) => {
    const of = one[variant];
    if (of.mean === null) return h("span", { class: "muted" }, "none yet");
    const write = UNITS[one.unit];
    const most = one.unit === "rate" ? 1 : Math.max(one.baseline.high ?? 0, one.candidate.high ?? 0) || 1;
    return [h("strong", null, write(of.mean)), h("span", { class: "muted" }, ` ${write(of.low)} to ${write(of.high)}, of ${count(of.units)}`), bar(of, most, kind)];
  };
  const columns = [
    { name: "Guarded", cell: (one) => [NAMES[one.metric] ?? one.metric, h("small", { class: "block" }, one.direction === "lower" ? "lower is better" : "higher is better", one.metric === rollout.policy.primary.metric ? ", the primary one" : "")] },
    { name: "Baseline", cell: side("baseline", "baseline") },
    { name: "Candidate", cell: side("candidate", "candidate") },
    { name: "Proven", cell: (one) => proven(looked.get(one.metric), rollout) },
  ];
  return card(
    "Both variants",
    table("Both variants on every guarded metric", columns, rollout.sides),
    h("small", null, "Means of the units drawn so far in this run, with 95 % intervals that hold however often you look. Decisions are made on the difference, weighted by the share at which each unit was drawn."),
  );
}

function proven(found, rollout) {
  const point = rollout.trail[rollout.trail.length - 1];
  if (!found) return "–";
  if (rollout.look.crooked.includes(found.metric)) return badge("split is off", "bad");
  const needed = point?.needed ?? rollout.harm_needed;
  if (found.harm >= rollout.harm_needed) return badge("harm", "bad");
  if (found.safe === null || found.safe >= needed) return badge("safe to go on", "good");
  return badge(`${Math.exp(found.safe).toFixed(1)} of ${Math.exp(needed).toFixed(0)}`, "");
}

const ACTIONS = { hold: "", ramp: "info", promote: "good", roll_back: "bad" };

function decisions({ key, decisions: page }, { params }) {
  const columns = [
    { name: "When", cell: (one) => when(one.at) },
    { name: "Decision", cell: (one) => badge(one.action.replace("_", " "), ACTIONS[one.action]) },
    { name: "Share", kind: "number", cell: (one) => share(one.share) },
    { name: "Why", kind: "why", cell: (one) => one.why },
  ];
  const here = `/experiments/${encodeURIComponent(key)}`;
  return card(
    "Decisions",
    table("Decisions, the latest first", columns, page.decisions),
    h("div", { class: "paging" }, page.next === null ? null : h("a", { class: "button", href: `${here}${query({ ...params.query, before: page.next })}` }, "Older"), params.query.before ? h("a", { href: here }, "Back to the latest") : null),
  );
}

function counts({ stats }) {
  const columns = [
    { name: "Variant", cell: (one) => one.variant ?? "–" },
    { name: "Calls", kind: "number", cell: (one) => count(one.calls) },
    { name: "Errors", kind: "number", cell: (one) => percent(one.calls ? one.errors / one.calls : null) },
    { name: "Fallbacks", kind: "number", cell: (one) => count(one.fallbacks) },
    { name: "Success", kind: "number", cell: (one) => (one.success.scored ? `${percent(one.success.mean)} (${percent(one.success.low)} to ${percent(one.success.high)})` : "–") },
    { name: "Latency, median", kind: "number", cell: (one) => duration(one.latency_ms.p50) },
  ];
  return stats.variants.length ? card("Both variants", table("Both variants so far", columns, stats.variants)) : null;
}

function pairs({ key, rollout, shadows }, { params }) {
  const all = params.query.pairs === "all";
  const totals = rollout?.shadow;
  if (!totals && !shadows.pairs.length) return null;
  const columns = [
    { name: "Asked", cell: (one) => h("a", { href: `/calls/${encodeURIComponent(one.shadow_of)}` }, one.asked ?? "not kept") },
    { name: "The caller got", cell: (one) => one.baseline ?? "–" },
    { name: "The candidate said", cell: (one) => (one.error_type ? badge(one.error_type, "bad") : one.candidate ?? "–") },
    { name: "Agree", cell: (one) => agreement(one) },
    { name: "When", cell: (one) => when(one.at) },
  ];
  const here = `/experiments/${encodeURIComponent(key)}${query({ ...params.query, pairs: all ? null : "all" })}`;
  return card(
    "Shadow",
    totals ? h("p", null, `${count(totals.asked)} calls were sent to the candidate as well, ${count(totals.failed)} failed; ${count(totals.compared)} are compared, `, h("strong", null, `${percent(totals.agreement)} agree`), `. It took ${count(totals.tokens_in + totals.tokens_out)} tokens.`) : null,
    shadows.pairs.length ? table(all ? "The latest pairs" : "The latest pairs that differ", columns, shadows.pairs, { shown: true }) : h("p", { class: "muted" }, all ? "None yet." : "None differ."),
    h("p", null, h("a", { href: here }, all ? "Only those that differ" : "All pairs")),
  );
}

/** How a pair agrees, in a badge. */
export function agreement(one) {
  if (one.error_type) return badge("failed", "bad");
  if (one.score === null) return badge(one.compared === null ? "waits" : "not compared");
  const judged = one.judged === null ? null : [" ", badge(one.judged === 1 ? "judged better" : one.judged === 0 ? "judged worse" : "judged as good", one.judged === 0 ? "bad" : "good")];
  return [badge(one.score === 1 ? "the same" : one.score === 0 ? "differ" : percent(one.score, 0), one.score === 1 ? "good" : "warn"), judged];
}
