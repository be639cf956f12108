// The channels that events are told on, a test of them, and what was told; for the settings page.
// Its JSON: /v1/notifications, /v1/notifications/test.

import { send } from "../api.js";
import { fill, h } from "../dom.js";
import { badge, card, note, say, table, when } from "../parts.js";

const STATES = { sent: "good", waiting: "info", given_up: "bad" };

export function notifications({ told }) {
  const section = card("Notifications", told === null ? note("info", "Notifications are an admin's affair; log in with an admin key.") : shown(told));
  section.id = "notifications";
  return section;
}

function shown({ channels, events }) {
  const said = h("div", { "aria-live": "polite", class: "made" });
  const columns = [
    { name: "Channel", cell: (one) => one.name },
    { name: "Kind", cell: (one) => one.kind },
    { name: "Where", cell: (one) => one.where },
    { name: "Events", cell: (one) => one.events.join(", ") },
    { name: "Try it", cell: (one) => h("button", { type: "button", class: "quiet", "aria-label": `Test ${one.name}`, on: { click: (event) => test(one.name, event.target, said) } }, "Test") },
  ];
  const latest = [
    { name: "When", cell: (one) => when(one.at) },
    { name: "Event", cell: (one) => one.kind },
    { name: "About", cell: (one) => (one.experiment === null ? one.dataset ?? "–" : h("a", { href: `/experiments/${encodeURIComponent(one.experiment)}` }, one.experiment)) },
    { name: "Told", cell: (one) => (one.deliveries.length ? one.deliveries.map((way) => [badge(`${way.channel} ${way.state.replace("_", " ")}`, STATES[way.state]), way.fault ? h("small", null, ` ${way.fault}`) : null, " "]) : h("span", { class: "muted" }, "nobody asked for it")) },
    { name: "Why", kind: "why", cell: (one) => one.why },
  ];
  return [
    channels.length
      ? table("Channels of this process", columns, channels)
      : h("p", null, "No channel yet. It is a few variables in the environment of the server, and no secret of it is ever shown: ", h("code", null, "LOGOS_SHIFT_NOTIFY_<NAME>_URL"), "."),
    said,
    events.length ? table("The latest events", latest, events, { shown: true }) : null,
  ];
}

async function test(channel, button, said) {
  button.disabled = true;
  try {
    const { tested } = await send("POST", "/v1/notifications/test", { channel });
    fill(said, tested.map((one) => note(one.ok ? "good" : "bad", one.ok ? `${one.channel} has taken the test.` : `${one.channel}: ${one.fault}`)));
  } catch (error) {
    say(error.message, "bad");
  }
  button.disabled = false;
}
