// Editions as a table, with what each holds, its files, and the tuning of a model on it.

import { send } from "../api.js";
import { h } from "../dom.js";
import { compact, count } from "../format.js";
import { asking, badge, folded, note, say, table, when } from "../parts.js";

const DIALECTS = [["", "as it lies there"], ["together", "for Together"], ["fireworks", "for Fireworks"], ["trl", "for TRL"]];

export function editions(all, context) {
  const columns = [
    { name: "Edition", cell: (one) => h("code", null, one.id.slice(0, 12)) },
    { name: "Of", cell: (one) => [h("a", { href: `/datasets/${encodeURIComponent(one.dataset)}` }, one.dataset), one.manifest.kind === "chat" ? null : [" ", badge(one.manifest.kind, "info")]] },
    { name: "Made", cell: (one) => when(one.at) },
    { name: "To train on", kind: "number", cell: (one) => count(one.manifest.counts.train) },
    { name: "Held out", kind: "number", cell: (one) => count(one.manifest.counts.heldout) },
    { name: "Tokens", kind: "number", cell: (one) => `≈ ${compact(one.manifest.estimate.tokens)}` },
    { name: "More", cell: (one) => more(one, context) },
  ];
  return table("Editions, the latest first", columns, all);
}

function more(one, context) {
  const { counts, warnings, choice } = one.manifest;
  const path = `/v1/editions/${encodeURIComponent(one.id)}`;
  const file = (name, [dialect, words]) => h("a", { href: `${path}/${name}${dialect ? `?dialect=${dialect}` : ""}`, download: `${one.id.slice(0, 12)}-${name}` }, `${name}, ${words}`);
  const dialects = one.manifest.kind === "chat" ? DIALECTS : DIALECTS.slice(0, 1);
  const left = Object.entries(counts.left_out).map(([reason, calls]) => `${reason.replaceAll("_", " ")} ${count(calls)}`);
  const remove = async () => {
    try {
      await send("DELETE", path);
      say("Removed.", "good");
    } catch (error) {
      say(error.message, "bad");
    }
    await context.reload();
  };
  return h(
    "details",
    null,
    h("summary", null, "files and manifest"),
    h(
      "div",
      { class: "stack" },
      h("p", null, `${count(counts.read)} calls were looked at, ${count(counts.corrected)} examples are corrected by people. Left out: ${left.join(", ") || "none"}.`),
      warnings.map((text) => note("warn", text)),
      h("ul", null, ["train.jsonl", "heldout.jsonl"].flatMap((name) => dialects.map((dialect) => h("li", null, file(name, dialect))))),
      h("p", null, h("a", { href: `/tuning?edition=${encodeURIComponent(one.id)}` }, "Tune a model on it"), " · ", h("a", { href: path }, "As JSON from the API")),
      folded("What it was chosen by", JSON.stringify(choice, null, 2)),
      context.session?.scope === "admin" ? asking("Remove", "Remove it and its files?", remove) : null,
    ),
  );
}
