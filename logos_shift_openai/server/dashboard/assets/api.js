// Asks the API, with the session's cookie. A change carries the header that no foreign page can send.

/** What the server answered with a no: `status`, `code`, a message for people, and `where` the fault is, if it says. */
export class Refusal extends Error {
  constructor(status, error) {
    super(error?.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = error?.code ?? "unknown";
    this.where = error?.where ?? null;
  }
}

const kept = new Map(); // address -> {etag, text, data}: so that what has not changed is neither sent nor drawn again

/** Get JSON. Two gets of the same address with the same answer give the very same object. */
export async function get(path, signal) {
  const before = kept.get(path);
  const headers = before?.etag ? { "If-None-Match": before.etag } : {};
  const answer = await reach(path, { headers, signal, cache: "no-store" });
  if (answer.status === 304) return before.data;
  const text = await answer.text();
  if (answer.ok && before?.text === text) return before.data;
  const data = read(answer, text);
  kept.set(path, { etag: answer.headers.get("etag"), text, data });
  return data;
}

const whole = new Map(); // name -> the parts as they were together

/** Wait for several by their names; where all of them are the very same as before, so is what is given. */
export async function together(name, parts) {
  const found = await Promise.all(Object.values(parts));
  const before = whole.get(name);
  if (before && Object.values(before).every((one, place) => one === found[place])) return before;
  const now = Object.fromEntries(Object.keys(parts).map((key, place) => [key, found[place]]));
  whole.set(name, now);
  return now;
}

/** Change something: POST, PUT or DELETE with a JSON body; `more` headers such as If-Match. */
export async function send(method, path, body, more = {}) {
  const headers = { ...more, "X-Logos-Shift": "dashboard" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await reach(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return read(answer, await answer.text());
}

async function reach(path, options) {
  try {
    return await fetch(path, { credentials: "same-origin", redirect: "error", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, { code: "away", message: "The server cannot be reached." });
  }
}

function read(answer, text) {
  let data = null;
  try {
    data = JSON.parse(text);
  } catch { /* what is no JSON says nothing to us */ }
  if (!answer.ok) throw new Refusal(answer.status, data?.error);
  return data;
}

/** Write a query string: what is empty is left out. */
export function query(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(pairs).toString();
  return text ? `?${text}` : "";
}
