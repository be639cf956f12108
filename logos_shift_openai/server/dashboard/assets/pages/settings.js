// Keys, prices, policies, notifications, and trying out redaction.
// Its JSON: /v1/keys, /v1/prices, /v1/rollouts, /v1/notifications, /v1/redaction.

import { get, send } from "../api.js";
import { fill, h } from "../dom.js";
import { count, json } from "../format.js";
import { asking, badge, card, choice, heading, labelled, note, say, table, when } from "../parts.js";
import { notifications } from "./notifications.js";
import { policies } from "./policies.js";

export async function load() {
  const [session, prices, rollouts] = await Promise.all([get("/v1/session"), get("/v1/prices"), get("/v1/rollouts")]);
  const [keys, told] = session.scope === "admin" ? await Promise.all([get("/v1/keys"), get("/v1/notifications?limit=20")]) : [null, null];
  return { session, prices: prices.prices, seen: prices.seen, rollouts: rollouts.rollouts, keys: keys?.keys ?? null, told };
}

export function render(data, context) {
  return h("div", { class: "page" }, heading("Settings"), keys(data, context), prices(data, context), policies(data, context), notifications(data, context), redaction());
}

const MAY = [["ingest", "ingest: write records, read the config"], ["read", "read: look at everything"], ["admin", "admin: everything"]];

function keys(data, context) {
  if (data.keys === null) return card("Keys", note("info", "Keys are an admin's affair; log in with an admin key."));
  const columns = [
    { name: "Label", cell: (one) => one.label || h("span", { class: "muted" }, "none") },
    { name: "Id", cell: (one) => h("code", null, one.id) },
    { name: "May", cell: (one) => badge(one.scope, one.scope === "admin" ? "warn" : "info") },
    { name: "Made", cell: (one) => when(one.created) },
    { name: "Last used", cell: (one) => when(one.last_used) },
    { name: "State", cell: (one) => (one.revoked === null ? asking("Revoke", `Revoke it for good?${one.id === data.session.key_id ? " It is the one you are logged in with." : ""}`, () => revoke(one, context)) : badge("revoked", "bad")) },
  ];
  const made = h("div", { class: "made", "aria-live": "polite" });
  const shown = h("div", null, table("Keys of this server", columns, [...data.keys].sort((one, other) => (one.revoked ?? 0) - (other.revoked ?? 0))));
  const create = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    try {
      const key = await send("POST", "/v1/keys", { scope: form.get("scope"), label: form.get("label").trim() });
      event.target.reset();
      fill(made, note("good", "Copy it now; nobody can show it again."), secret(key.key));
      const all = (await get("/v1/keys")).keys;
      fill(shown, table("Keys of this server", columns, all.sort((one, other) => (one.revoked ?? 0) - (other.revoked ?? 0))));
    } catch (error) {
      fill(made, note("bad", error.message));
    }
  };
  const form = h(
    "form",
    { class: "line", on: { submit: create } },
    labelled("Whose it is", h("input", { name: "label", maxlength: 200, autocomplete: "off", placeholder: "checkout-service" })),
    labelled("What it may", choice("scope", MAY, "ingest")),
    h("button", { type: "submit", class: "main" }, "Create a key"),
  );
  return card("Keys", data.session.local ? note("info", "This page looks at this machine's own store; keys are for `logos-shift serve`.") : null, form, made, shown);
}

function secret(text) {
  const field = h("input", { readonly: true, value: text, "aria-label": "The new key", spellcheck: "false", on: { focus: (event) => event.target.select() } });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.", "good");
    } catch {
      field.select();
    }
  };
  return h("div", { class: "line" }, field, h("button", { type: "button", on: { click: copy } }, "Copy"));
}

async function revoke(key, context) {
  try {
    await send("DELETE", `/v1/keys/${encodeURIComponent(key.id)}`);
    say(`The key ${key.label || key.id} is revoked.`, "good");
    context.reload();
  } catch (error) {
    say(error.message, "bad");
  }
}

function prices(data, context) {
  const may = data.session.scope === "admin";
  const put = async (wanted, word) => {
    try {
      await send("PUT", "/v1/prices", { prices: wanted });
      say(word, "good");
      context.reload();
    } catch (error) {
      say(error.message, "bad");
    }
  };
  const without = (one) => data.prices.filter((other) => other.model !== one.model);
  const columns = [
    { name: "Model", cell: (one) => h("code", null, one.model) },
    { name: "In", kind: "number", cell: (one) => `$${one.input}` },
    { name: "Cached", kind: "number", cell: (one) => (one.cached === null ? "as in" : `$${one.cached}`) },
    { name: "Out", kind: "number", cell: (one) => `$${one.output}` },
    ...(may ? [{ name: "Change", cell: (one) => asking("Remove", "Remove it?", () => put(without(one), "Removed.")) }] : []),
  ];
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const one = { model: form.get("model").trim(), input: Number(form.get("input")), output: Number(form.get("output")), cached: form.get("cached") === "" ? null : Number(form.get("cached")) };
    put([...without(one), one], "Set.");
  };
  const dollars = (name, required) => h("input", { name, type: "number", min: 0, step: "any", required, placeholder: required ? "0" : "as in" });
  const form = h(
    "form",
    { class: "line", on: { submit } },
    labelled("Model or pattern", h("input", { name: "model", required: true, maxlength: 512, placeholder: "gpt-6.1-*", autocomplete: "off", spellcheck: "false" })),
    labelled("In", dollars("input", true)),
    labelled("Cached", dollars("cached", false)),
    labelled("Out", dollars("output", true)),
    h("button", { type: "submit" }, "Set the price"),
  );
  const dollar = (value) => (value === null ? h("span", { class: "muted" }, "not known") : `$${value}`);
  const seen = [
    { name: "Model", cell: (one) => h("code", null, one.model) },
    { name: "At", cell: (one) => one.provider ?? h("span", { class: "muted" }, "the caller's own client") },
    { name: "In", kind: "number", cell: (one) => dollar(one.input) },
    { name: "Cached", kind: "number", cell: (one) => (one.cached === null && one.input !== null ? "as in" : dollar(one.cached)) },
    { name: "Out", kind: "number", cell: (one) => dollar(one.output) },
    { name: "Says", cell: (one) => (one.own ? "your own table" : one.input === null ? badge("nobody", "warn") : "the list that comes along") },
  ];
  const section = card(
    "Prices",
    h("p", { class: "muted" }, "US dollars for a million tokens. Your own count first; of several patterns the longest. What they leave out is looked up in the list of public prices that comes along."),
    data.prices.length ? table("Your own prices", columns, data.prices) : h("p", null, "You have set none of your own."),
    may ? form : null,
    data.seen.length ? [h("h3", null, "Models of the latest calls"), table("What the models of the latest calls cost", seen, data.seen)] : null,
  );
  section.id = "prices";
  return section;
}

const SAMPLE = "My card is 4111 1111 1111 1111, write to ada@example.com.";

function redaction() {
  const rules = h("input", { name: "rules", value: "secrets,email,card", autocomplete: "off", spellcheck: "false" });
  const body = h("textarea", { name: "body", rows: 4, spellcheck: "false" }, SAMPLE);
  const result = h("div", { "aria-live": "polite" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const found = await send("POST", "/v1/redaction", { body: bodyOf(body.value), rules: rules.value });
      const taken = Object.entries(found.redacted);
      fill(
        result,
        h("p", null, taken.length ? taken.map(([rule, times]) => [badge(`${rule} ${count(times)}`, "info"), " "]) : badge("nothing found")),
        h("pre", { tabindex: "0", "aria-label": "As it would be kept" }, typeof found.body === "string" ? found.body : json(found.body)),
      );
    } catch (error) {
      fill(result, note("bad", error.message));
    }
  };
  return card(
    "Try out redaction",
    h("p", { class: "muted" }, "What would be taken out of a record before it is written. Nothing of it is kept."),
    h("form", { on: { submit } }, labelled("Rules", rules, "As LOGOS_SHIFT_REDACT takes them: secrets, email, phone, card, iban, ip, ssn, key:metadata.ssn"), labelled("Text or JSON", body), h("button", { type: "submit" }, "Try it"), result),
  );
}

function bodyOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
