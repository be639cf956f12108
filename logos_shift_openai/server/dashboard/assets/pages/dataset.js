// One dataset: what would be chosen from it and what each rule leaves out, examples, and the edition made of it.
// What is chosen stands in the address. Its JSON: POST /v1/datasets/preview, POST /v1/editions, GET /v1/editions?dataset=.

import { get, query, send } from "../api.js";
import { asked as turns } from "../conversation.js";
import { fill, h } from "../dom.js";
import { count, moment, percent } from "../format.js";
import { badge, card, choice, figure, figures, heading, labelled, note, say, table } from "../parts.js";
import { editions } from "./editions.js";

export const title = ({ name }) => name;

const NUMBERS = { heldout: 100, per_answer: 1, limit: 1, near: 0.01 }; // what is asked in percent is sent in its own unit
const TEXTS = ["kind", "feedback", "answers", "model", "fingerprint"];

/** Make what the API wants of what stands in the address. */
export function wanted(name, asked) {
  const found = { dataset: name };
  for (const text of TEXTS) if (asked[text]) found[text] = asked[text];
  for (const [number, scale] of Object.entries(NUMBERS)) if (asked[number] && Number.isFinite(Number(asked[number]))) found[number] = Number((Number(asked[number]) * scale).toFixed(6));
  if (asked.within) found.since = Math.max(0, Date.now() - Number(asked.within) * 86400000);
  for (const flag of ["conversation", "prune_constant"]) if (asked[flag] === "true") found[flag] = true;
  return found;
}

export async function load({ name }) {
  return { name, cut: await get(`/v1/editions${query({ dataset: name })}`) };
}

export function render({ name, cut }, context) {
  const place = h("div", { class: "page", "aria-live": "polite", "aria-busy": "true" }, h("p", { class: "muted" }, "Looking through the latest calls…"));
  look(name, context.params.query, place);
  return h(
    "div",
    { class: "page" },
    h("p", { class: "back" }, h("a", { href: "/datasets" }, "← Datasets")),
    heading(name, h("a", { href: `/calls?dataset=${encodeURIComponent(name)}` }, "its calls"), h("a", { href: `/autopilot/${encodeURIComponent(name)}` }, "its autopilot")),
    choosing(name, context),
    place,
    cut.editions.length ? card("Editions of it", editions(cut.editions, context)) : null,
  );
}

// It takes a moment, in which all else is there already.
async function look(name, asked, place) {
  try {
    fill(place, result(await send("POST", "/v1/datasets/preview", wanted(name, asked))));
  } catch (error) {
    fill(place, note("bad", error.message));
  }
  place.removeAttribute("aria-busy");
}

function choosing(name, context) {
  const asked = context.params.query;
  const number = (field, placeholder, most) => h("input", { name: field, type: "number", min: 0, max: most, step: "any", value: asked[field], placeholder });
  const text = (field, placeholder) => h("input", { name: field, value: asked[field], placeholder, autocomplete: "off", maxlength: 512, spellcheck: "false" });
  const choose = (event) => {
    event.preventDefault();
    const values = Object.fromEntries([...new FormData(event.target)].map(([field, value]) => [field, value.trim()]));
    location.assign(`/datasets/${encodeURIComponent(name)}${query(values)}`);
  };
  const make = h("button", { type: "button", on: { click: build } }, "Build the edition");
  async function build() {
    make.disabled = true;
    make.textContent = "Building…";
    try {
      const made = await send("POST", "/v1/editions", wanted(name, asked));
      say(`Edition ${made.id.slice(0, 12)} is made.`, "good");
      await context.reload();
    } catch (error) {
      say(error.message, "bad");
      make.disabled = false;
      make.textContent = "Build the edition";
    }
  }
  const finer = ["model", "fingerprint", "per_answer", "limit", "near", "conversation", "prune_constant"];
  return h(
    "form",
    { class: "filters", "aria-label": "What is chosen", on: { submit: choose } },
    labelled("Kind", choice("kind", [["", "chats"], ["preference", "preferences"]], asked.kind)),
    labelled("Feedback", choice("feedback", [["", "no failures"], ["success", "successes alone"], ["any", "whatever it was"]], asked.feedback)),
    labelled("Answers", choice("answers", [["", "the baseline's"], ["any", "a candidate's too"]], asked.answers)),
    labelled("Within", choice("within", [["", "all time"], ["1", "24 hours"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"]], asked.within)),
    labelled("Held out, %", number("heldout", "10", 90)),
    h(
      "details",
      { class: "more", open: finer.some((field) => asked[field]) },
      h("summary", null, "More"),
      h(
        "div",
        { class: "filters" },
        labelled("Model asked for", text("model", "any")),
        labelled("Prompt's fingerprint", text("fingerprint", "any")),
        labelled("Of one answer at most", number("per_answer", "any number")),
        labelled("Examples at most", number("limit", "any number")),
        labelled("Near duplicates from, %", number("near", "kept", 100)),
        labelled("Feedback counts for", choice("conversation", [["", "its call"], ["true", "the conversation"]], asked.conversation)),
        labelled("Constant system text", choice("prune_constant", [["", "stays"], ["true", "is left out"]], asked.prune_constant)),
      ),
    ),
    h("div", { class: "act across" }, h("button", { type: "submit", class: "main" }, "Look"), context.session?.scope === "admin" ? make : null),
  );
}

// The API says what to do in the words of the command line.
const WORDS = [["--answers any", "Answers: a candidate's too"], ["--feedback any", "Feedback: whatever it was"], ["--model", "model"], ["--fingerprint", "fingerprint"], ["--per-answer", "how many may have one answer"], ["--limit", "the number of examples"], ["--near", "what counts as near"]];
const here = (step) => WORDS.reduce((text, [flag, words]) => text.replaceAll(flag, words), step);

function result(looked) {
  const chosen = looked.train + looked.heldout;
  const left = looked.read - chosen;
  const part = (calls) => percent(looked.read ? calls / looked.read : null);
  const columns = [
    { name: "Left out because", cell: (one) => one.meaning },
    { name: "Calls", kind: "number", cell: (one) => count(one.calls) },
    { name: "Part", kind: "number", cell: (one) => part(one.calls) },
    { name: "What would change it", cell: (one) => h("span", { class: "muted" }, here(one.step)) },
  ];
  const redacted = Object.entries(looked.redacted);
  return [
    figures(
      figure("Calls looked at", count(looked.read), looked.since === null ? "all there are" : `the latest, since ${moment(looked.since)}; a build takes all`),
      figure("To train on", count(looked.train), `${part(looked.train)} of the calls`, looked.train ? "good" : "bad"),
      figure("Held out", count(looked.heldout), "to measure a candidate by"),
      figure("Corrected", count(looked.corrected), "by people, in the place of the answer"),
      figure("Different answers", count(looked.answers), looked.answers === 1 ? "there is nothing to tell apart" : null),
    ),
    left ? card(`What is left out: ${count(left)}`, table("Calls that are left out, by reason", columns, looked.left_out)) : null,
    redacted.length ? card("Redacted again", h("p", null, redacted.map(([rule, times]) => [badge(`${rule} ${count(times)}`, "info"), " "]))) : null,
    looked.examples.length ? card("Examples", h("div", { class: "stack" }, looked.examples.map((one, place) => h("details", { open: place === 0 }, h("summary", null, `Example ${place + 1}`), h("div", { class: "stack" }, turnsOf(one)))))) : null,
  ];
}

function turnsOf(example) {
  const said = (messages) => turns({ request: { messages: messages ?? [] } });
  if (Array.isArray(example.messages)) return turns({ request: example });
  return [said(example.input?.messages), h("h3", null, "Preferred"), said(example.preferred_output), h("h3", null, "Not preferred"), said(example.non_preferred_output)];
}
