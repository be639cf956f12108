// Begins every page: the session, the navigation, the page's module, and looking again while it is shown.
//
// A page is a module in pages/ with
//   title(data)        optional; a title of its own
//   load(params, signal) -> data   asks the API; `params` has the parts of the path and `query`
//   render(data, context) -> Node  draws it; `context` has `session`, `params`, `reload()`
//   every              optional; seconds after which it is loaded again while the window is seen
// If what was loaded is the very same object as before, nothing is drawn again.

import { get, send } from "./api.js";
import { fill, h } from "./dom.js";
import { note, say } from "./parts.js";

const main = document.getElementById("main");
const body = document.body.dataset;

function paramsOf() {
  const names = [];
  const pattern = body.path.replace(/{(\w+)(\+?)}/g, (_, name, long) => {
    names.push(name);
    return long ? "(.+)" : "([^/]+)";
  });
  const found = new RegExp(`^${pattern}$`).exec(location.pathname) ?? [];
  const params = { query: Object.fromEntries(new URLSearchParams(location.search)) };
  names.forEach((name, place) => (params[name] = decodeURIComponent(found[place + 1] ?? "")));
  return params;
}

function toLogin() {
  const next = location.pathname + location.search;
  location.replace(next === "/" ? "/login" : `/login?next=${encodeURIComponent(next)}`);
}

function drawFoot(session) {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const words = () => (dark() ? "Light theme" : "Dark theme");
  const theme = h("button", { type: "button", class: "quiet", on: { click: turn } }, words());
  function turn() {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch { /* it holds for this page */ }
    theme.textContent = words();
    dispatchEvent(new Event("theme"));
  }
  const leave = async () => {
    await send("DELETE", "/v1/session").catch(() => null);
    location.assign("/login");
  };
  fill(
    document.getElementById("foot"),
    theme,
    session ? h("button", { type: "button", class: "quiet", on: { click: leave } }, "Log out") : null,
    session ? h("small", { class: "muted" }, `${session.local ? "this machine" : session.scope} · ${session.version}`) : null,
  );
}

async function begin() {
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.pathname === location.pathname || (link.pathname !== "/" && location.pathname.startsWith(`${link.pathname}/`));
    if (here) link.setAttribute("aria-current", "page");
  }
  const page = await import(`./pages/${body.module}.js`);
  const params = paramsOf();
  if (page.open) {
    document.body.classList.add("alone");
    drawFoot(null);
    fill(main, page.render(null, { params }));
    main.removeAttribute("aria-busy");
    return;
  }
  const context = { session: null, params, reload: () => show(true) };
  let shown;
  let failing = false;

  async function show(again = false) {
    try {
      const asked = [page.load(params)];
      if (!context.session) asked.push(get("/v1/session"));
      const [data, session] = await Promise.all(asked);
      if (session) drawFoot((context.session = session));
      if (failing) say("The server answers again.");
      failing = false;
      if (!again && data === shown) return;
      shown = data;
      if (!again && occupied()) return; // somebody is writing here; what is new waits for the next look
      draw(page.render(data, context));
      if (page.title) document.title = `${page.title(data)} · Logos`;
    } catch (error) {
      if (error.status === 401) return toLogin();
      if (main.hasAttribute("aria-busy")) draw(h("div", { class: "page" }, h("h1", null, document.title.split(" · ")[0]), note("bad", error.message)));
      else if (!failing) say(error.message, "bad");
      failing = true;
    }
  }
  await show();
  if (page.every) watch(page.every, show);
}

// Where somebody is writing, or has a question open, nothing is taken from under their hands.
function occupied() {
  const at = document.activeElement;
  return main.querySelector("form[data-typed]") !== null || (main.contains(at) && (at.matches("input, textarea, select") || at.closest(".asking, form") !== null));
}

function draw(node) {
  const at = scrollY;
  const open = [...main.querySelectorAll("details")].map((one) => one.open);
  const marked = document.activeElement?.dataset?.keep;
  const typed = [...main.querySelectorAll("form[data-typed]")];
  fill(main, node);
  main.removeAttribute("aria-busy");
  const fresh = [...main.querySelectorAll("details")];
  if (fresh.length === open.length) fresh.forEach((one, place) => (one.open = open[place]));
  if (marked) main.querySelector(`[data-keep="${CSS.escape(marked)}"]`)?.focus();
  typed.forEach(typeAgain);
  scrollTo(0, at);
}

// What was typed into a form and not sent yet is in the form of its name again, whatever else was drawn anew.
function typeAgain(before) {
  const form = main.querySelector(`form[data-form="${CSS.escape(before.dataset.form)}"]`);
  if (!form) return;
  for (const one of before.elements) if (one.name && form.elements[one.name]) form.elements[one.name].value = one.value;
  form.dataset.typed = "";
}

function watch(seconds, show) {
  let timer;
  const next = () => (timer = setTimeout(async () => (await show(), next()), seconds * 1000));
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) show().then(next);
  });
  if (!document.hidden) next();
}

begin().catch((error) => fill(main, h("p", { class: "note bad" }, `This page cannot be shown: ${error.message}`)));
