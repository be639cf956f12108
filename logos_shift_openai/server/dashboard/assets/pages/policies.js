// What each rollout decides by, for the settings page. Its JSON: /v1/rollouts.

import { h } from "../dom.js";
import { percent, share } from "../format.js";
import { card, folded, table } from "../parts.js";

export function policies({ rollouts }) {
  const columns = [
    { name: "Rollout", cell: (one) => h("a", { href: `/experiments/${encodeURIComponent(one.experiment)}` }, one.experiment) },
    { name: "Bearable loss", cell: ({ policy }) => `${percent(policy.margin)} of ${policy.primary.metric}` },
    { name: "Guarded besides", cell: ({ policy }) => policy.guardrails.map((one) => one.metric).join(", ") || "nothing" },
    { name: "Steps", cell: ({ policy }) => [...(policy.shadow_pairs ? [`shadow of ${policy.shadow_pairs}`] : []), ...policy.ladder.map(share)].join(" → ") },
    { name: "Chance of error", cell: ({ policy }) => `${percent(policy.alpha, 0)} to go back, ${percent(policy.alpha_promote, 0)} to promote` },
    { name: "All of it", cell: ({ policy }) => folded("policy", JSON.stringify(policy, null, 2)) },
  ];
  return card(
    "Policies",
    rollouts.length ? table("Policies of the rollouts", columns, rollouts) : h("p", null, "No rollout yet. Without a word from you one bears a loss of two points in success, guards errors, and goes 1, 5, 10, 25, 50, 100 %."),
    h("small", null, "A policy is fixed when its rollout begins: ", h("code", null, "logos-shift rollout start NAME --policy FILE"), "."),
  );
}
