// Lines that were no records: how many, by the part at fault. Its JSON: /v1/refused.

import { get } from "../api.js";
import { h } from "../dom.js";
import { count, percent } from "../format.js";
import { card, empty, figure, figures, heading, table, when } from "../parts.js";

export const every = 5;

export const load = () => get("/v1/refused");

export function render({ lines, reasons }) {
  const columns = [
    { name: "Part at fault", cell: (one) => h("code", null, one.reason) },
    { name: "Lines", kind: "number", cell: (one) => count(one.lines) },
    { name: "Part of all", kind: "number", cell: (one) => percent(one.lines / lines) },
    { name: "The last one", cell: (one) => when(one.last_at) },
  ];
  return h(
    "div",
    { class: "page" },
    h("p", { class: "back" }, h("a", { href: "/" }, "← Overview")),
    heading("Refused lines"),
    lines
      ? [
          figures(figure("Refused so far", count(lines), "since this store was made", "bad"), figure("Different faults", count(reasons.length)), figure("The last one", when(reasons[0].last_at))),
          card("By the part at fault", table("Refused lines by the part at fault, the latest first", columns, reasons)),
        ]
      : empty("No line was refused", h("p", null, "Every line that came in was a record.")),
    card(
      "What is kept of them",
      h("p", null, "A refused line is not kept: it may hold anything, a secret too, and no redaction has a say over what cannot be read. Only its number stays, by the part at fault, and when the last one came."),
      h("p", { class: "muted" }, "Whoever sent it was told the line's number, its id and the whole fault in the answer; a client sets it aside, whole, in ", h("code", null, "refused/"), " of its own spool, and counts it in ", h("code", null, "logos_shift.stats()"), ". A part that is not known here often means a client that is newer than this server."),
    ),
  );
}
