// The datasets and what was cut from them. Its JSON: /v1/datasets and /v1/editions.

import { get, together } from "../api.js";
import { h } from "../dom.js";
import { compact, count } from "../format.js";
import { card, empty, heading, table, when } from "../parts.js";
import { editions } from "./editions.js";

export const every = 10;

export const load = () => together("datasets", { datasets: get("/v1/datasets"), editions: get("/v1/editions") });

export function render({ datasets, editions: cut }, context) {
  const columns = [
    { name: "Dataset", cell: (one) => h("a", { href: `/datasets/${encodeURIComponent(one.name)}` }, one.name) },
    { name: "Calls", kind: "number", cell: (one) => compact(one.calls) },
    { name: "With feedback", kind: "number", cell: (one) => compact(one.rated) },
    { name: "Editions", kind: "number", cell: (one) => count(one.editions) },
    { name: "Last call", cell: (one) => when(one.last_at) },
  ];
  return h(
    "div",
    { class: "page" },
    heading("Datasets"),
    datasets.datasets.length ? card("What was recorded", table("Datasets with their calls", columns, datasets.datasets)) : empty("No calls yet", h("p", null, "Calls that are recorded with a dataset stand here; from them training sets are cut.")),
    cut.editions.length ? card("Editions", h("p", { class: "muted" }, "Frozen, split training sets, the latest first."), editions(cut.editions, context)) : null,
  );
}
