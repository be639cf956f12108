// Turns the bodies of a call into who said what, for each endpoint. Bodies are whatever a caller sent and a provider
// answered, so nothing is taken for granted about them; what has no known shape is shown as JSON.

import { h } from "./dom.js";
import { count, json } from "./format.js";
import { badge, folded } from "./parts.js";

const LONG = 4000;
const list = (value) => (Array.isArray(value) ? value : []);
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** What was asked: an array of nodes. */
export function asked(call) {
  const request = call.request;
  if (request === null || request === undefined) return [];
  if (!isObject(request) || call.endpoint === "function") return [turn("request", value(request))];
  const turns = list(request.tools).length ? [tools(request.tools)] : [];
  if (request.instructions) turns.push(turn("instructions", content(request.instructions)));
  if (Array.isArray(request.messages)) return [...turns, ...request.messages.map((one) => message(one, "message"))];
  if (request.prompt !== undefined) return [...turns, turn("prompt", content(request.prompt))];
  if (Array.isArray(request.input)) return [...turns, ...request.input.map((one) => item(one))];
  if (request.input !== undefined) return [...turns, turn("user", content(request.input))];
  return [...turns, turn("request", value(request))];
}

/** What was answered: an array of nodes. */
export function answered(call) {
  const response = call.response;
  if (response === null || response === undefined) return [];
  if (!isObject(response) || call.endpoint === "function") return [turn("answer", value(response), "assistant")];
  const choices = list(response.choices);
  if (choices.length) {
    return choices.map((one, place) => {
      if (!isObject(one)) return turn("answer", value(one), "assistant");
      const name = choices.length > 1 ? `answer ${place + 1}` : undefined;
      const node = one.message === undefined ? turn(name ?? "answer", content(one.text), "assistant") : message(one.message, "assistant", name);
      if (one.finish_reason && !["stop", "tool_calls"].includes(one.finish_reason)) node.append(badge(`ended: ${one.finish_reason}`, "warn"));
      return node;
    });
  }
  if (Array.isArray(response.output)) return response.output.map((one) => item(one, "assistant"));
  if (Array.isArray(response.data)) return [turn("answer", h("p", null, `${count(response.data.length)} vectors`), "assistant")];
  const { usage, ...rest } = response;
  return Object.keys(rest).length ? [turn("answer", value(rest), "assistant")] : [];
}

function message(one, role, name) {
  if (!isObject(one)) return turn(name ?? role, value(one));
  const who = typeof one.role === "string" ? one.role : role;
  const parts = [];
  for (const field of ["reasoning_content", "reasoning"]) {
    if (typeof one[field] === "string" && one[field]) parts.push(folded("Reasoning", one[field]));
  }
  if (one.content !== null && one.content !== undefined) parts.push(content(one.content));
  if (one.refusal) parts.push(badge("refused", "warn"), text(String(one.refusal)));
  for (const call of list(one.tool_calls)) parts.push(toolCall(call));
  if (isObject(one.function_call)) parts.push(toolCall({ function: one.function_call }));
  return turn(name ?? who, parts, who, one.tool_call_id ?? one.name);
}

function item(one, role = "item") {
  if (!isObject(one)) return turn(role, value(one));
  if (one.content !== undefined && (one.type ?? "message") === "message") return message(one, role);
  if (one.type === "function_call") return turn("assistant", toolCall({ id: one.call_id, function: one }), "assistant");
  if (one.type === "function_call_output") return turn("tool", content(one.output), "tool", one.call_id);
  if (one.type === "reasoning") return turn("reasoning", folded("Reasoning", list(one.summary).map((part) => part?.text ?? "").join("\n") || json(one)), "assistant");
  return turn(String(one.type ?? role), value(one));
}

function turn(name, parts, who = name, detail) {
  const kind = ["system", "developer", "user", "assistant", "tool"].includes(who) ? who : "other";
  return h(
    "article",
    { class: `turn ${kind}` },
    h("h3", null, name, detail ? h("code", null, String(detail)) : null),
    h("div", { class: "said" }, parts),
  );
}

function toolCall(call) {
  const named = isObject(call?.function) ? call.function : isObject(call?.custom) ? call.custom : null;
  if (!named) return value(call);
  return h(
    "div",
    { class: "tool-call" },
    h("p", null, badge("calls", "info"), " ", h("code", null, String(named.name)), call.id ? h("span", { class: "muted" }, ` ${call.id}`) : null),
    typeof named.arguments === "string" ? asJson(named.arguments) : value(named.arguments ?? named.input ?? null),
  );
}

function tools(given) {
  const names = given.map((tool) => tool?.function?.name ?? tool?.name ?? tool?.type ?? "?");
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  return h(
    "div",
    { class: "tools" },
    folded(`${names.length} ${names.length === 1 ? "tool" : "tools"}: ${names.slice(0, 3).join(", ")}${more}`, json(given)),
  );
}

/** Content: a text, or parts of which those that are no text are named by their kind. */
function content(given) {
  if (typeof given === "string") return asJson(given);
  if (!Array.isArray(given)) return value(given);
  return given.map((part) => {
    if (typeof part === "string") return text(part);
    if (typeof part?.text === "string") return asJson(part.text);
    if (part?.type === "refusal") return [badge("refused", "warn"), text(String(part.refusal))];
    return folded(`[${part?.type ?? "part"}]`, json(part));
  });
}

// A text that is an object or a list in JSON is shown on several lines; every other text as it stands.
function asJson(given) {
  if (/^\s*[{[]/.test(given)) {
    try {
      return value(JSON.parse(given));
    } catch { /* only looks like it */ }
  }
  return text(given);
}

function text(given) {
  if (given.length <= LONG) return h("p", { class: "text" }, given);
  return h("div", null, h("p", { class: "text" }, `${given.slice(0, LONG)}…`), folded(`All of it, ${count(given.length)} characters`, given));
}

/** A value as JSON, its names, texts and numbers told apart. */
export function value(given) {
  const written = typeof given === "string" ? given : (json(given) ?? "undefined");
  if (written.length > LONG) return folded(`JSON, ${count(written.length)} characters`, written);
  return h("pre", { class: "json", tabindex: "0", "aria-label": "JSON" }, typeof given === "string" ? written : tokens(written));
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g;

function tokens(written) {
  const parts = [];
  let at = 0;
  for (const found of written.matchAll(TOKEN)) {
    const [whole, text, colon] = found;
    const kind = colon ? "name" : text ? "string" : "plain";
    parts.push(written.slice(at, found.index), h("span", { class: `json-${kind}` }, text ?? whole), colon ?? "");
    at = found.index + whole.length;
  }
  return [...parts, written.slice(at)];
}
