// What each rollout decides by, and the change of its pace; for the settings page.
// Its JSON: /v1/rollouts, /v1/rollouts/{experiment}/policy.

import { get, send } from "../api.js";
import { h } from "../dom.js";
import { percent, share } from "../format.js";
import { badge, card, folded, say, table } from "../parts.js";
import { policyForm } from "../policy_form.js";

const ENDED = new Set(["done", "rolled_back"]);

export function policies({ rollouts, session }, context) {
  const columns = [
    { name: "Rollout", cell: (one) => [h("a", { href: `/experiments/${encodeURIComponent(one.experiment)}` }, one.experiment), " ", badge(one.phase.replace("_", " "))] },
    { name: "Bearable loss", cell: ({ policy }) => `${percent(policy.margin)} of ${policy.primary.metric}` },
    { name: "Guarded besides", cell: ({ policy }) => policy.guardrails.map((one) => one.metric).join(", ") || "nothing" },
    { name: "Steps", cell: ({ policy }) => [...(policy.shadow_pairs ? [`shadow of ${policy.shadow_pairs}`] : []), ...policy.ladder.map(share)].join(" → ") },
    { name: "Chance of error", cell: ({ policy }) => `${percent(policy.alpha, 0)} to go back, ${percent(policy.alpha_promote, 0)} to promote` },
    ...(session.scope === "admin" ? [] : [{ name: "All of it", cell: ({ policy }) => folded("policy", JSON.stringify(policy, null, 2)) }]),
  ];
  const section = card(
    "Policies",
    rollouts.length ? table("Policies of the rollouts", columns, rollouts) : h("p", null, "No rollout yet. Without a word from you one bears a loss of two points in success, guards errors, and goes 1, 5, 10, 25, 50, 100 %."),
    session.scope === "admin" ? rollouts.map((one) => (ENDED.has(one.phase) ? folded(`The policy of ${one.experiment}, which has ended`, JSON.stringify(one.policy, null, 2)) : h("details", null, h("summary", null, `Change the policy of ${one.experiment}`), editing(one, context)))) : null,
    h("small", null, "Margins, chances, metrics, the ladder and the shadow are what the proofs are about, and fixed when a rollout begins: ", h("code", null, "logos-shift rollout start NAME --policy FILE"), ". Its pace may be changed at any time."),
  );
  section.id = "policies";
  return section;
}

function editing(rollout, context) {
  const path = `/v1/rollouts/${encodeURIComponent(rollout.experiment)}`;
  let { revision } = rollout;
  const save = async (policy, kept) => {
    try {
      await send("PUT", `${path}/policy`, { policy }, { "If-Match": `"${revision}"` });
    } catch (error) {
      if (error.status === 412) {
        ({ revision } = await get(path));
        error.message = "Somebody else, or the rollout itself, has changed it in the meantime. Saved again, yours takes its place.";
      }
      throw error;
    }
    kept();
    say("The policy is changed.", "good");
    await context.reload();
  };
  return policyForm({
    name: `policy of ${rollout.experiment}`,
    policy: rollout.policy,
    rest: `The policy of ${rollout.experiment}`,
    hint: "JSON. While it is under way: step_seconds, last_step_seconds, deadline_seconds, shadow_per_minute, hold_back, hold_back_seconds.",
    save,
    word: "Change it",
  });
}
