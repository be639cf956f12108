// Begins a session: with a key, or with the one-time token that `logos-shift ui` puts behind the `#`.

import { send } from "../api.js";
import { fill, h } from "../dom.js";
import { labelled } from "../parts.js";

export const open = true;

export function render(_data, { params }) {
  const token = /^#([0-9a-f]{64})$/.exec(location.hash)?.[1];
  const fault = h("p", { class: "fault", role: "alert" });
  const key = h("input", { type: "password", name: "key", required: true, autocomplete: "current-password", spellcheck: "false", placeholder: "ls_read_…" });
  const button = h("button", { type: "submit", class: "main" }, "Log in");

  async function begin(body) {
    button.disabled = true;
    fill(fault);
    try {
      await send("POST", "/v1/session", body);
      location.replace(ownPath(params.query.next));
    } catch (error) {
      fill(fault, error.message);
      button.disabled = false;
      key.focus();
    }
  }
  if (token) {
    history.replaceState(null, "", "/login");
    begin({ token });
  }
  const submit = (event) => {
    event.preventDefault();
    begin({ key: key.value.trim() });
  };
  return h(
    "section",
    { class: "card login" },
    h("h1", null, "Log in"),
    h(
      "form",
      { on: { submit } },
      labelled("Key of this server", key, "Of the scope read, to look, or admin, to change things."),
      fault,
      button,
    ),
    h("p", { class: "muted" }, "No key? On the server's machine: ", h("code", null, "logos-shift keys create read")),
  );
}

// Only ever to a path of this server, whatever an address that was sent around says.
function ownPath(next) {
  if (!next || !/^\/(?![/\\])/.test(next)) return "/";
  const address = new URL(next, location.origin);
  return address.origin === location.origin ? address.pathname + address.search : "/";
}
