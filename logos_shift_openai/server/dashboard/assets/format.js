// Writes numbers, times and amounts for people. Nothing is rounded to a lie: what is not known is a dash.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const moments = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium", hour12: false });
const clocks = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });

export const NONE = "–";

export const count = (value) => (value === null || value === undefined ? NONE : whole.format(value));

export const compact = (value) => (Math.abs(value) < 100000 ? whole.format(value) : short.format(value));

/** A part of one, in percent. */
export function percent(part, digits = 1) {
  if (part === null || part === undefined || !Number.isFinite(part)) return NONE;
  return `${(part * 100).toFixed(part === 0 || part === 1 ? 0 : digits)}\u00a0%`;
}

/** A share in basis points, in percent. */
export const share = (points) => `${Number((points / 100).toFixed(2))}\u00a0%`;

/** US dollars; small amounts keep their digits. */
export function money(dollars) {
  if (dollars === null || dollars === undefined) return NONE;
  const size = Math.abs(dollars) < 5e-7 ? 0 : Math.abs(dollars); // what sums of floats leave behind is nothing
  const digits = size === 0 || size >= 100 ? 0 : size >= 1 ? 2 : size >= 0.01 ? 3 : 6;
  const sign = dollars < 0 && size > 0 ? "−" : "";
  return `${sign}$${size.toLocaleString("en", { minimumFractionDigits: Math.min(digits, 2), maximumFractionDigits: digits })}`;
}

export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return NONE;
  if (milliseconds < 1000) return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  if (milliseconds < 60000) return `${(milliseconds / 1000).toFixed(milliseconds < 10000 ? 2 : 1)} s`;
  return `${Math.floor(milliseconds / 60000)} min ${Math.round((milliseconds % 60000) / 1000)} s`;
}

const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [30, "day"], [12, "month"], [Infinity, "year"]];

/** How long ago, in words. */
export function ago(at, now = Date.now()) {
  if (at === null || at === undefined) return "never";
  let amount = Math.max(0, Math.round((now - at) / 1000));
  if (amount < 5) return "just now";
  for (const [size, unit] of STEPS) {
    if (amount < size) return `${amount} ${unit}${amount === 1 ? "" : "s"} ago`;
    amount = Math.floor(amount / size);
  }
  return NONE;
}

export const moment = (at) => (at === null || at === undefined ? NONE : moments.format(new Date(at)));
export const clock = (at) => clocks.format(new Date(at));
export const iso = (at) => new Date(at).toISOString();

/** A value as JSON on several lines. */
export const json = (value) => JSON.stringify(value, null, 2);
