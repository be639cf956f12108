// What came of a candidate's held-out questions: the report, and its answers beside the teacher's; for a tuning job's page.
// Its JSON: /v1/tuning/{id}/evaluations, /v1/evaluations/{id}/answers.

import { get, query } from "../api.js";
import { answered, asked as turns } from "../conversation.js";
import { h } from "../dom.js";
import { count, money, percent } from "../format.js";
import { badge, card, figure, figures, note, table } from "../parts.js";

const STATES = { passed: "good", failed: "bad", open: "info" };
const WEAKEST = 10;
let known = { of: null, pairs: null }; // what is judged stays as it is, so it is not looked through at every look

/** Load the reports of a job's candidate, and a page of answers of one of them. */
export async function heldOut(id, asked) {
  const { evaluations } = await get(`/v1/tuning/${encodeURIComponent(id)}/evaluations`);
  const one = evaluations.find(({ id: name }) => name === asked.evaluation) ?? evaluations[0] ?? null;
  if (one === null) return null;
  const of = JSON.stringify([one.id, one.updated, asked.after, asked.answers]);
  if (known.of !== of || one.state === "open") {
    const page = query({ after: asked.after, differ: asked.answers === "all" ? false : null });
    known = { of, pairs: await get(`/v1/evaluations/${encodeURIComponent(one.id)}/answers${page}`) };
  }
  return known.pairs;
}

/** Draw them; `others` are told by their number alone. */
export function held(job, found, params) {
  if (found === null) return job.candidate === null ? null : unasked(job);
  return [report(found.evaluation), answers(job, found, params)];
}

function unasked(job) {
  return card(
    "Held-out questions",
    h("p", null, "The candidate was not asked yet what its edition holds out. Where the key of its provider is:"),
    h("pre", { tabindex: "0", "aria-label": "Command to ask" }, `logos-shift candidate evaluate --job ${job.id}`),
  );
}

function report({ id, state, said, rules, report: found }) {
  const first = h("p", null, badge(state === "open" ? "under way" : state, STATES[state]), ` ${said}`);
  if (found === null) return card("Held-out questions", first);
  const floor = (value, least) => (value === null ? null : value < least ? "bad" : "good");
  return card(
    "Held-out questions",
    first,
    figures(
      figure("Agreement", percent(found.agreement), `${percent(found.low)} to ${percent(found.high)}; the floor is ${percent(rules.floor, 0)}`, floor(found.agreement, rules.floor)),
      figure("Valid JSON or calls", percent(found.valid), found.valid === null ? "nothing asked for any" : `the floor is ${percent(rules.valid_floor, 0)}`, floor(found.valid, rules.valid_floor)),
      figure("Rows answered", count(found.rows), `of ${count(found.held_out)} held out; ${count(rules.rows)} are the least`, found.rows < rules.rows ? "bad" : null),
      figure("Without an answer", count(found.failed), "none, refused, or cut"),
      figure("Cost of asking", money(found.cost), found.cost === null ? "its price is not known" : null),
    ),
    found.ended_early ? note("warn", found.ended_early) : null,
    byAnswer(found, rules),
    h("small", null, `${id}, compared as ${rules.compare}.`),
  );
}

function byAnswer({ answers }, rules) {
  if (answers.length < 2) return null;
  const columns = [
    { name: "Answer", cell: (one) => h("span", { class: "brief-text" }, one.answer.slice(0, 300)) },
    { name: "Rows", kind: "number", cell: (one) => count(one.rows) },
    { name: "Agree", kind: "number", cell: (one) => percent(one.agreement, 0) },
    { name: "Judged", cell: (one) => (one.judged ? badge(one.agreement < rules.answer_floor ? "under its floor" : "by itself", one.agreement < rules.answer_floor ? "bad" : "good") : badge("too few rows")) },
  ];
  const weakest = [...answers].sort((one, other) => other.judged - one.judged || one.agreement - other.agreement || other.rows - one.rows);
  const few = weakest.slice(0, WEAKEST);
  return [
    table("Rows of each answer, the weakest first", columns, few, { shown: true }),
    weakest.length > few.length ? h("details", null, h("summary", null, `${count(weakest.length - few.length)} answers more`), table("Further answers", columns, weakest.slice(WEAKEST))) : null,
  ];
}

function answers(job, { evaluation, pairs, next, fault }, { query: asked }) {
  const all = asked.answers === "all";
  const here = (more) => `/tuning/${encodeURIComponent(job.id)}${query({ evaluation: asked.evaluation, answers: asked.answers, ...more })}`;
  return card(
    all ? "All answers" : "Disagreements to look at",
    fault ? note("warn", fault) : null,
    pairs.length || fault ? null : h("p", { class: "muted" }, evaluation.state === "open" ? "None yet." : all ? "No answer behind this one." : "None differs from here on."),
    h("div", { class: "stack" }, pairs.map(pair)),
    h(
      "div",
      { class: "paging" },
      next === null ? null : h("a", { class: "button", href: here({ after: next }) }, "Further"),
      asked.after ? h("a", { href: here({}) }, "Back to the first") : null,
      h("a", { href: here({ answers: all ? null : "all" }) }, all ? "Only those that differ" : "All answers"),
    ),
  );
}

function pair(one) {
  const { messages = [], ...rest } = one.question;
  const before = messages.slice(0, -1);
  const more = [before.length ? `${before.length} ${before.length === 1 ? "message" : "messages"}` : null, rest.tools ? "tools" : null].filter(Boolean);
  const agree = one.agreement === 1 ? badge("the same", "good") : one.agreement === 0 ? badge("differ", "warn") : badge(`${percent(one.agreement, 0)} the same`, "warn");
  return h(
    "article",
    { class: "pair", "aria-label": `Row ${one.row}` },
    h("h3", null, `Row ${count(one.row)} `, agree, one.valid === false ? [" ", badge("not what was asked for", "bad")] : null),
    more.length ? h("details", null, h("summary", null, `Before it: ${more.join(" and ")}`), h("div", { class: "stack" }, turns({ request: { ...rest, messages: before } }))) : null,
    turns({ request: { messages: messages.slice(-1) } }),
    h(
      "div",
      { class: "sides" },
      h("div", null, h("h4", null, "The teacher's"), answered({ response: { choices: [{ message: one.expected }] } })),
      h("div", null, h("h4", null, "The candidate's"), one.answer === null ? note("bad", one.error || "no answer") : answered({ response: { choices: [one.answer] } })),
    ),
  );
}
