// A form over a policy: fields for what is often changed, and all else as JSON. Rule: the server alone says what may be;
// its refusal stands in the form, the part at fault is marked and reached, and nothing that was typed is lost.

import { fill, h } from "./dom.js";
import { json } from "./format.js";
import { choice, labelled } from "./parts.js";

/**
 * Make the form.
 * @param {object} of
 *   `name` of this form on its page; `policy` as the API has it; `save(policy)` sends it and throws its refusal;
 *   `fields`: {name, label, hint?, placeholder?, kind: "text"|"list"|"number"|"choice", pairs?}, none for JSON alone;
 *   `beside`: names that are neither shown nor lost; `rest`: the label of the JSON; `word` on the button
 */
export function policyForm({ name, policy, save, fields = [], beside = [], rest, hint, word = "Save" }) {
  const fault = h("p", { class: "fault", role: "alert" });
  const own = new Set([...fields.map((one) => one.name), ...beside]);
  const others = Object.fromEntries(Object.entries(policy).filter(([key]) => !own.has(key)));
  const inputs = new Map(fields.map((one) => [one.name, made(one, policy[one.name])]));
  const text = h("textarea", { name: "rest", rows: Math.min(18, Math.max(4, json(others).split("\n").length)), spellcheck: "false", class: "code" }, json(others));
  const button = h("button", { type: "submit", class: "main" }, word);

  async function submit(event) {
    event.preventDefault();
    for (const one of form.elements) one.removeAttribute("aria-invalid");
    fill(fault);
    let asked;
    try {
      asked = JSON.parse(text.value);
    } catch (error) {
      return blame(text, `All of it must be JSON: ${error.message}`);
    }
    if (asked === null || typeof asked !== "object" || Array.isArray(asked)) return blame(text, "It must be an object, as in {}.");
    for (const key of beside) if (policy[key] !== undefined) asked[key] = policy[key];
    for (const one of fields) {
      const value = read(one, inputs.get(one.name).value);
      if (value !== undefined) asked[one.name] = value;
    }
    button.disabled = true;
    try {
      await save(asked, () => delete form.dataset.typed);
    } catch (error) {
      const names = /^policy[.\w[\]]*/.exec(error.where ?? error.message)?.[0].split(/\W+/).slice(1) ?? [];
      blame(inputs.get(names[0]) ?? text, error.message, names);
    }
    button.disabled = false;
  }

  function blame(input, words, names = []) {
    fill(fault, words);
    input.setAttribute("aria-invalid", "true");
    input.focus();
    if (input !== text) return;
    let from = 0;
    for (const one of names) {
      const at = text.value.indexOf(`"${one}"`, from);
      if (at >= 0) text.setSelectionRange(at, (from = at + one.length + 2));
    }
    const above = text.value.slice(0, text.selectionStart).split("\n").length - 3;
    text.scrollTop = above * parseFloat(getComputedStyle(text).lineHeight); // a browser scrolls to where is typed, not to what is chosen
  }

  const form = h(
    "form",
    { "data-form": name, on: { submit, input: () => (form.dataset.typed = "") } },
    fields.length ? h("div", { class: "line" }, fields.map((one) => labelled(one.label, inputs.get(one.name), one.hint))) : null,
    labelled(rest, text, hint),
    fault,
    button,
  );
  return form;
}

// Numbers are typed as texts: what is none is the server's to name, and a field for numbers would swallow it.
function made({ name, kind, pairs, placeholder }, value) {
  if (kind === "choice") return choice(name, pairs, value);
  const shown = value === null || value === undefined ? null : Array.isArray(value) ? value.join(", ") : value;
  return h("input", { name, value: shown, placeholder, autocomplete: "off", spellcheck: "false", maxlength: 2000, inputmode: kind === "number" ? "decimal" : null });
}

// What is left empty is left out, and has its default.
function read({ kind }, typed) {
  const value = typed.trim();
  if (value === "") return undefined;
  if (kind === "list") return value.split(",").map((one) => one.trim()).filter(Boolean);
  return kind === "number" && Number.isFinite(Number(value)) ? Number(value) : value;
}
