// One call: what was said, what a candidate said in the shadow, why it went where it went, and what people say of it.
// Its JSON: /v1/calls/{id}, /v1/shadows?call=.

import { get, query, send, together } from "../api.js";
import { answered, asked, value } from "../conversation.js";
import { fill, h } from "../dom.js";
import { count, duration, json, moment, money, share } from "../format.js";
import { badge, card, folded, heading, labelled, note, say, table, when } from "../parts.js";
import { verdict } from "./calls.js";
import { agreement } from "./experiment.js";

export const every = 10;
export const title = ({ call }) => `${call.requested_model ?? call.name ?? "Call"}`;

export async function load({ id }) {
  const call = await get(`/v1/calls/${encodeURIComponent(id)}`);
  const shadows = call.id.length <= 512 ? get(`/v1/shadows${query({ call: call.id })}`) : { pairs: [] };
  return together("call", { call, shadows });
}

export function render({ call, shadows }, context) {
  const name = call.requested_model ?? call.name ?? call.endpoint;
  return h(
    "div",
    { class: "page" },
    h("p", { class: "back" }, h("a", { href: "/calls" }, "← Calls")),
    heading(name, badge(call.endpoint), call.assigned ? badge(call.assigned, call.assigned === "candidate" ? "info" : null) : null, call.error ? badge("error", "bad") : null, call.feedback ? verdict(call) : null),
    h("div", { class: "aside" }, h("div", null, conversation(call), shadows.pairs.map((pair) => beside(call, pair))), h("div", null, facts(call), route(call), feedback(call, context), rest(call))),
  );
}

function conversation(call) {
  const turns = [...asked(call), ...answered(call)];
  if (call.bodies === false) turns.push(note("info", "The client left the request and the answer behind: sampling.bodies in the config asks for a sample of them."));
  else if (!turns.length) turns.push(note("info", "The request and the answer are not kept any more."));
  if (call.error) turns.push(note("bad", [call.error.type, call.error.status, call.error.code, call.error.message].filter(Boolean).join(" · ")));
  if (!call.complete && !call.error) turns.push(note("warn", "The stream was not read to its end."));
  return h("section", { class: "card conversation", "aria-label": "Conversation" }, h("h2", null, "Conversation"), turns);
}

// What the caller got, beside what a candidate answered to the same; nobody but us ever saw that.
function beside(call, pair) {
  const model = [pair.model ?? "the candidate", pair.provider ? ` at ${pair.provider}` : null];
  const theirs = pair.error_type ? note("bad", [pair.error_type, pair.error_message].filter(Boolean).join(": ")) : pair.candidate === null ? note("info", "It is not kept any more.") : answered({ ...call, response: pair.candidate });
  return card(
    "In the shadow",
    h("p", null, agreement(pair), ` compared as ${pair.compared ?? "nothing yet"}, `, pair.experiment === null ? null : h("a", { href: `/experiments/${encodeURIComponent(pair.experiment)}` }, pair.experiment), " ", when(pair.at)),
    h(
      "div",
      { class: "sides" },
      h("div", null, h("h3", null, "The caller got: ", call.served_model ?? call.requested_model ?? "the answer"), answered(call), h("small", null, duration(call.duration_ms))),
      h("div", null, h("h3", null, "The candidate said: ", model), theirs, h("small", null, `${duration(pair.duration_ms)}, ${count(pair.tokens_out)} tokens out`)),
    ),
  );
}

function pairs(rows) {
  return h("dl", { class: "facts" }, rows.filter(([, said]) => said !== null && said !== undefined && said !== "").map(([name, said]) => [h("dt", null, name), h("dd", null, said)]));
}

function facts(call) {
  const link = (id) => h("a", { href: `/calls/${encodeURIComponent(id)}` }, id);
  const cached = call.tokens_cached ? `, ${count(call.tokens_cached)} of them cached` : "";
  return card(
    "Facts",
    pairs([
      ["When", [moment(call.at), " · ", when(call.at)]],
      ["Dataset", h("a", { href: `/calls?dataset=${encodeURIComponent(call.dataset)}` }, call.dataset)],
      ["Took", duration(call.duration_ms) + (call.first_token_ms ? `, first token after ${duration(call.first_token_ms)}` : "")],
      ["Tokens", call.tokens_in === null ? null : `${count(call.tokens_in)} in${cached}, ${count(call.tokens_out)} out`],
      ["Cost", call.cost === null ? null : money(call.cost)],
      ["User", call.user_id],
      ["Conversation", call.conversation_id],
      ["Streamed", call.stream ? "yes" : null],
      ["Part of", call.parent ? link(call.parent) : null],
      ["Made inside", call.children.length ? h("ul", { class: "plain" }, call.children.slice(0, 20).map((id) => h("li", null, link(id)))) : null],
      ["Id", h("code", null, call.id)],
      ["Provider's id", call.provider_id ? h("code", null, call.provider_id) : null],
    ]),
  );
}

function route(call) {
  const served = call.served_model ? `${call.served_model}${call.served_provider ? ` at ${call.served_provider}` : ""}` : null;
  const columns = [
    { name: "Attempt", cell: (one) => one.variant ?? "–" },
    { name: "Model", cell: (one) => one.model ?? "–" },
    { name: "Took", kind: "number", cell: (one) => duration(one.duration_ms) },
    { name: "End", cell: (one) => (one.ok ? badge("ok", "good") : badge(one.error?.type ?? "failed", "bad")) },
  ];
  return card(
    "Why this route",
    h("p", null, call.why || "This call was not routed."),
    pairs([
      ["Experiment", call.experiment ? h("a", { href: `/experiments/${encodeURIComponent(call.experiment)}` }, call.experiment) : null],
      ["Assigned, served", call.assigned ? `${call.assigned}, ${call.served ?? "nobody"}` : null],
      ["Answered by", served],
      ["Share then", call.share === null ? null : share(call.share)],
      ["Bucket", call.bucket === null ? null : count(call.bucket)],
      ["Decided by", call.unit ? `${call.unit.kind} ${call.unit.id ?? ""}` : null],
      ["Config version", call.config_version],
      ["Gate", call.gate ? `${call.gate.passed ? "passed" : "held back"}${call.gate.mean === undefined ? "" : `, mean ${call.gate.mean.toFixed(3)}`}` : null],
    ]),
    call.attempts.length > 1 ? table("Attempts", columns, call.attempts) : null,
  );
}

function feedback(call, context) {
  const said = call.said.map((one) =>
    h(
      "li",
      null,
      h("p", null, one.label || one.value !== null ? badge(one.label ?? String(one.value), (one.value ?? Number(one.label === "success")) >= 0.5 ? "good" : "bad") : null, one.by ? ` by ${one.by}` : null, " ", when(one.at)),
      one.comment ? h("p", { class: "text" }, one.comment) : null,
      one.correction === null ? null : h("div", null, h("p", { class: "muted" }, "The right answer:"), value(one.correction)),
    ),
  );
  const inherited = call.feedback && call.feedback.call_id !== call.id ? h("p", { class: "muted" }, "Counts from ", h("a", { href: `/calls/${encodeURIComponent(call.feedback.call_id)}` }, "the call around it"), ".") : null;
  const may = context.session?.scope === "admin";
  return card("Feedback", said.length ? h("ul", { class: "said-of" }, said) : h("p", { class: "muted" }, "None yet."), inherited, may ? giving(call, context) : h("p", { class: "muted" }, "An admin key may give feedback here."));
}

function giving(call, context) {
  const fault = h("p", { class: "fault", role: "alert" });
  const comment = h("input", { name: "comment", maxlength: 2000, autocomplete: "off" });
  const correction = h("textarea", { name: "correction", rows: 3, spellcheck: "true" });
  const take = h("button", { type: "button", class: "quiet", on: { click: () => ((correction.value = answerOf(call)), correction.focus()) } }, "Begin with the answer");
  const give = async (event) => {
    event.preventDefault();
    const label = event.submitter?.value || null;
    const body = { call_id: call.id, label, comment: comment.value.trim() || null, correction: correction.value.trim() || null, by: "dashboard" };
    if (!body.label && !body.comment && !body.correction) return fill(fault, "Say something: a verdict, a comment or the right answer.");
    try {
      await send("POST", "/v1/feedback", body);
      say("Feedback taken.", "good");
      context.reload();
    } catch (error) {
      fill(fault, error.message);
    }
  };
  return h(
    "form",
    { class: "giving", on: { submit: give } },
    labelled("Comment", comment),
    labelled("The right answer", correction),
    answerOf(call) ? take : null,
    fault,
    h("div", { class: "act" }, h("button", { type: "submit", value: "success", class: "good" }, "Good"), h("button", { type: "submit", value: "failure", class: "danger" }, "Bad"), h("button", { type: "submit", value: "", class: "quiet" }, "Only the words")),
  );
}

function answerOf(call) {
  const said = call.response?.choices?.[0]?.message?.content;
  return typeof said === "string" ? said : "";
}

const SAID = new Set(["model", "messages", "input", "instructions", "prompt", "tools"]);

function rest(call) {
  const request = call.request !== null && typeof call.request === "object" ? call.request : {};
  const parameters = Object.fromEntries(Object.entries(request).filter(([name]) => !SAID.has(name)));
  return card(
    "Everything else",
    Object.keys(call.metadata).length ? folded("Metadata", json(call.metadata), true) : null,
    call.endpoint !== "function" && Object.keys(parameters).length ? folded("Parameters", json(parameters)) : null,
    call.media.length ? folded(`Media left out: ${count(call.media.length)}`, json(call.media)) : null,
    call.truncated.length ? note("warn", `Cut for its size: ${call.truncated.join(", ")}`) : null,
    folded("The whole record", json(call)),
    h("p", null, h("a", { href: `/v1/calls/${encodeURIComponent(call.id)}` }, "As JSON from the API")),
  );
}
