// Asks the API, with the session's cookie. A change carries the header that no foreign page can send.

/** What the server answered with a no: `status`, `code`, and a message for people. */
export class Refusal extends Error {
  constructor(status, error) {
    super(error?.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = error?.code ?? "unknown";
  }
}

const kept = new Map(); // address -> {etag, data}: so that what has not changed is neither sent nor drawn again

/** Get JSON. Two gets of the same address with the same answer give the very same object. */
export async function get(path, signal) {
  const before = kept.get(path);
  const headers = before ? { "If-None-Match": before.etag } : {};
  const answer = await reach(path, { headers, signal, cache: "no-store" });
  if (answer.status === 304) return before.data;
  const data = await read(answer);
  const etag = answer.headers.get("etag");
  if (etag) kept.set(path, { etag, data });
  return data;
}

/** Change something: POST, PUT or DELETE with a JSON body. */
export async function send(method, path, body) {
  const headers = { "X-Logos-Shift": "dashboard" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return read(await reach(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }));
}

async function reach(path, options) {
  try {
    return await fetch(path, { credentials: "same-origin", redirect: "error", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, { code: "away", message: "The server cannot be reached." });
  }
}

async function read(answer) {
  const data = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refusal(answer.status, data?.error);
  return data;
}

/** Write a query string: what is empty is left out. */
export function query(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(pairs).toString();
  return text ? `?${text}` : "";
}
