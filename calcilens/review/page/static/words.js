// Words and numbers as every page writes them.

export const STATES = {
  new: ["new", "nobody has taken it"],
  reading: ["reading", "somebody holds it"],
  waiting: ["waiting", "one has signed, another reader is wanted"],
  disputed: ["disputed", "all have signed and they differ"],
  done: ["done", "finished"],
};
export const CONCERN = { low: "Low", intermediate: "Intermediate", high: "High" };
const SHAPES = { low: "●", intermediate: "▲", high: "◆" };

/** 20250114 -> 14 Jan 2025; anything else as it is. */
export function date(value) {
  const found = /^(\d{4})-?(\d{2})-?(\d{2})$/.exec(value ?? "");
  if (!found) return value || "no date";
  const day = new Date(Date.UTC(+found[1], +found[2] - 1, +found[3]));
  return day.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

/** Time of day of a moment, or of now. */
export function clock(moment = new Date()) {
  return new Date(moment).toLocaleTimeString("en-GB", { hour12: false });
}

/** Probability as people read it; never 0 % or 100 %, which a network cannot mean. */
export function percent(p) {
  if (p === null || p === undefined) return "–";
  if (p < 0.01) return "< 1 %";
  return p > 0.99 ? "> 99 %" : `${Math.round(100 * p)} %`;
}

/** Concern in words with a shape, so that colour is never alone. */
export function concern(level) {
  return level in CONCERN ? `${SHAPES[level]} ${CONCERN[level]}` : "Cannot say";
}

export function calcified(value) {
  return value === true ? "Calcification" : value === false ? "Not a calcification" : "Cannot say";
}

/** @param {Map<string, string>} labels of patterns by key */
export function patterns(keys, labels) {
  return keys?.length ? keys.map((key) => labels.get(key) ?? key).join(", ") : "none";
}

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** What a server says in a line, as a sentence. */
export const sentence = (line) => line.replace(/^[a-z]/, (first) => first.toUpperCase());

/** A number with its unit, or why there is none. */
export function amount(value, unit, digits = 1) {
  return value === null || value === undefined ? "–" : `${Number(value).toFixed(digits)} ${unit}`.trim();
}
