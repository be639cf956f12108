// Makes elements. Rule: whatever is shown may be hostile (a model's answer, a key's label), so text is only ever set as
// text, and only the tags and attributes listed here can be made. Nothing in these pages writes markup.

const TAGS = new Set(
  ("a article button caption code dd details div dl dt em fieldset figcaption figure footer form h1 h2 h3 h4 header input " +
    "label legend li mark ol option output p pre progress section select small span strong summary table tbody td textarea th " +
    "thead time tr ul").split(" "),
);
const ATTRIBUTES = new Set(
  ("autocomplete checked class colspan datetime disabled download for hidden id inputmode lang max maxlength min name open placeholder " +
    "readonly required role rows scope selected spellcheck step tabindex title type value").split(" "),
);
const OWN_PATH = /^(?:\/(?![/\\\t\n\r])|[?#])/; // browsers take a backslash for a slash, and leave tabs out

/**
 * Make an element.
 * @param {string} tag one of TAGS
 * @param {object|null} attributes names of ATTRIBUTES, `aria-*`, `data-*`; `href` to a path of this server;
 *   `on: {click: handler}` for events. What is null, undefined or false is left out.
 * @param {...(Node|string|number|null|undefined|false|Array)} children texts become text nodes
 */
export function h(tag, attributes, ...children) {
  if (!TAGS.has(tag)) throw new TypeError(`no element ${tag} is made here`);
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (value === null || value === undefined || value === false) {
      continue;
    } else if (name === "href") {
      if (!OWN_PATH.test(value)) throw new TypeError("a link leads to a path of this server");
      element.setAttribute("href", value);
    } else if (ATTRIBUTES.has(name) || /^(?:aria|data)-[a-z-]+$/.test(name)) {
      element.setAttribute(name, value === true ? "" : String(value));
    } else {
      throw new TypeError(`no attribute ${name} is set here`);
    }
  }
  add(element, children);
  return element;
}

/** Put children, nested lists of them too, at the end of an element. */
export function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(visible(String(child))));
  }
  return element;
}

/** Put children in the place of all that an element has. */
export function fill(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

// Characters that turn the direction of text around could make one thing look like another; they are shown as what they are.
const TURNING = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const visible = (text) => text.replace(TURNING, (one) => `[U+${one.charCodeAt(0).toString(16).toUpperCase()}]`);
