// The parts that pages are put together from: cards, figures, tables, badges, notes, and the question before a change.

import { add, fill, h } from "./dom.js";
import { ago, iso, moment } from "./format.js";

/** A section with a heading; its children stand in a card. */
export function card(title, ...children) {
  const id = `card-${(card.made = (card.made ?? 0) + 1)}`;
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, title), children);
}

/** A figure with its name, and what it means below. */
export function figure(name, value, meaning, kind) {
  return h(
    "div",
    { class: `tile ${kind ?? ""}` },
    h("dt", null, name),
    h("dd", null, h("strong", null, value), meaning ? h("span", { class: "muted" }, meaning) : null),
  );
}

export const figures = (...some) => h("dl", { class: "tiles" }, some);

export const badge = (text, kind) => h("span", { class: `badge ${kind ?? ""}` }, text);

/** A point in time: how long ago, and the moment itself on hovering. */
export const when = (at, now) =>
  at === null || at === undefined ? "never" : h("time", { datetime: iso(at), title: moment(at) }, ago(at, now));

/**
 * A table that becomes a list of cards on a narrow screen.
 * @param {string} caption read out before it
 * @param {Array<{name: string, kind?: string, cell: (row) => any}>} columns `kind` "number" stands to the right
 * @param {Array} rows
 * @param {object} options `shown`: the caption is to be seen; `brief`: a card is a few lines without the columns' names
 */
export function table(caption, columns, rows, { shown = false, brief = false } = {}) {
  // The roles are said because a table that is laid out as cards would lose them.
  const head = h("tr", { role: "row" }, columns.map((one) => h("th", { scope: "col", role: "columnheader", class: one.kind }, one.name)));
  const body = rows.map((row) =>
    h(
      "tr",
      { role: "row" },
      columns.map((one, place) => {
        const of = { class: one.kind, "data-name": one.name };
        const content = h("div", { class: "cell" }, one.cell(row));
        return place === 0 ? h("th", { ...of, scope: "row", role: "rowheader" }, content) : h("td", { ...of, role: "cell" }, content);
      }),
    ),
  );
  return h(
    "table",
    { class: brief ? "cards brief" : "cards", role: "table" },
    h("caption", { class: shown ? null : "unseen" }, caption),
    h("thead", { role: "rowgroup" }, head),
    h("tbody", { role: "rowgroup" }, body),
  );
}

export const note = (kind, ...children) => h("div", { class: `note ${kind}` }, h("p", null, children));

/** What stands where there is nothing yet: what it is, and how it comes to be there. */
export const empty = (title, ...children) => h("div", { class: "empty" }, h("p", null, h("strong", null, title)), children);

/** Say something to a screen reader, and for a moment to the eye. */
export function say(text, kind) {
  const place = document.getElementById("said");
  const one = h("p", { class: `toast ${kind ?? ""}` }, text);
  place.append(one);
  setTimeout(() => one.remove(), 6000);
}

/** A label with its input. */
export function labelled(text, input, hint) {
  const id = input.id || (input.id = `input-${(labelled.made = (labelled.made ?? 0) + 1)}`);
  const hinted = hint ? h("small", { id: `${id}-hint`, class: "muted" }, hint) : null;
  if (hinted) input.setAttribute("aria-describedby", hinted.id);
  return h("div", { class: "field" }, h("label", { for: id }, text), input, hinted);
}

/** A choice among words: pairs of value and text. */
export function choice(name, pairs, chosen) {
  return h(
    "select",
    { name },
    pairs.map(([value, text]) => h("option", { value, selected: value === (chosen ?? "") }, text)),
  );
}

/** A button that asks once more before it does something; the question takes its place. */
export function asking(text, question, act, kind = "danger") {
  const place = h("span", { class: "asking" });
  const first = h("button", { type: "button", class: `quiet ${kind}`, on: { click: ask } }, text);
  function rest(focus) {
    fill(place, first);
    if (focus) first.focus();
  }
  function ask() {
    const yes = h("button", { type: "button", class: kind, on: { click: () => act().finally(() => rest(false)) } }, "Yes");
    fill(place, h("span", null, question), yes, h("button", { type: "button", class: "quiet", on: { click: () => rest(true) } }, "No"));
    yes.focus();
  }
  rest(false);
  return place;
}

/**
 * A bar from 0 to `most` with an interval and its middle; what it says stands beside it as text.
 * @param {{low: number, mean: number, high: number}} of
 * @param {string} kind the colour
 */
export function bar(of, most, kind) {
  const part = (value) => `${Math.min(100, Math.max(0, (100 * value) / most))}%`;
  const drawn = h("div", { class: `bar ${kind}`, "aria-hidden": "true" }, h("span", { class: "span" }), h("span", { class: "middle" }));
  drawn.style.setProperty("--low", part(of.low)); // set by script: the policy of the pages allows no style attributes
  drawn.style.setProperty("--high", part(of.high));
  drawn.style.setProperty("--mean", part(of.mean));
  return drawn;
}

/** Words in their order, of which some are done and one is now: steps of a ladder. */
export const ladder = (label, steps, now) =>
  h("ol", { class: "ladder", "aria-label": label }, steps.map((one, place) => h("li", { class: place < now ? "done" : place === now ? "now" : null, "aria-current": place === now ? "step" : null }, one)));

/** A heading of the page with what stands beside it. */
export const heading = (title, ...beside) => h("div", { class: "heading" }, h("h1", null, title), add(h("div", { class: "beside" }), beside));

/** JSON, folded away where it is long. */
export function folded(title, text, open = false) {
  return h("details", { open }, h("summary", null, title), h("pre", { tabindex: "0", "aria-label": title }, text));
}
