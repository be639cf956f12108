// The courses of a rollout: how far its proofs have come against their lines, and its share.

import { chart } from "../chart.js";
import { h } from "../dom.js";
import { moment, share } from "../format.js";

const TICKS = [0.001, 0.01, 0.1, 1, 4, 20, 100, 1000];
const odds = (log) => {
  const value = Math.exp(log);
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2);
};

/** Wealth over time, on a scale of its logarithm, with the lines at which harm is proven and the next share safe. */
export function proofs(rollout) {
  const points = rollout.trail;
  const line = (name, values, colour, dash) => ({ name, values, colour, dash, write: odds });
  const same = points.every((one) => one.needed === null || Math.abs(one.needed - rollout.harm_needed) < 0.001);
  const lines = [
    line("Harm", points.map((one) => one.harm), "--bad"),
    line("The next share is safe", points.map((one) => one.proof), "--good"),
    line(same ? "proven at" : "harm is proven at", points.map(() => rollout.harm_needed), same ? "--muted" : "--bad", true),
    same ? null : line("safe is proven at", points.map((one) => one.needed), "--good", true),
  ].filter(Boolean);
  const range = (low, high) => [Math.max(-7, Math.min(-1, low)), Math.max(rollout.harm_needed, high) + 0.5];
  return [
    chart("How far the proofs are, as wealth", points.map((one) => one.at * 1000), lines, moment, { range, write: odds, splits: TICKS.map(Math.log) }),
    h("small", null, "A gambler begins with 1 and bets against a claim at fair odds; what he has is shown, so that equal steps multiply it alike. Where he reaches the dashed line, it is proven."),
  ];
}

/** The candidate's share, step by step. */
export function shares(rollout) {
  const { steps, seen } = rollout.state;
  const points = [...steps.map((one) => ({ at: one.since, share: one.share })), { at: Math.max(seen, steps[steps.length - 1].since), share: rollout.share }];
  const lines = [{ name: "Share of the candidate", values: points.map((one) => one.share / 100), colour: "--accent", fill: true, stairs: true, write: (value) => share(value * 100) }];
  return chart("Share over time", points.map((one) => one.at * 1000), lines, moment, { range: () => [0, 105], write: (value) => `${value} %` });
}
