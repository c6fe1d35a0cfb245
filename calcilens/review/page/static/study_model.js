// The model's answer on a lesion, once the reader may see it.
import { el } from "./dom.js";
import { concern, percent } from "./words.js";

const SHOWN = 5;

function bar(name, p, mark = "", level = "") {
  const filled = el("span", { class: "fill" });
  filled.style.width = `${100 * (p ?? 0)}%`;
  return el("li", { class: `bar ${level}` },
    el("span", { text: name }), el("span", { class: "track", "aria-hidden": "true" }, filled),
    el("span", { class: "number", text: percent(p) }), el("span", { class: "mark", text: mark }));
}

const note = (text) => el("p", { class: "abstained", text });

function finding(model) {
  if (!model.finding) return [];
  const { probability, abstained, why } = model.finding;
  return abstained ? [note(`Gives no answer on calcification: ${why}`)] : [el("ul", { class: "bars" }, bar("Calcification", probability))];
}

function pattern(model, labels) {
  if (!model.pattern) return [];
  const { probabilities, set, coverage, abstained, why } = model.pattern;
  const title = el("h4", { text: "Pattern" });
  if (abstained) return [title, note(`Gives no answer on the pattern: ${why}`)];
  const all = Object.entries(probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  const shown = all.filter(([key], i) => i < SHOWN || set?.includes(key));
  const bars = shown.map(([key, p]) => bar(labels.get(key) ?? key, p, set?.includes(key) ? "in set" : ""));
  const told = set?.length
    ? `Set of ${set.length} that holds the right pattern in ${percent(coverage)} of cases like those it was tested on.`
    : "No set is given.";
  return [title, el("ul", { class: "bars" }, ...bars), el("p", { class: "hint", text: told })];
}

function concerned(model) {
  if (!model.concern) return [];
  const { probability, level, model_reasons: reasons = [], abstained, why } = model.concern;
  const parts = [el("h4", {}, "Concern ", el("span", { class: `chip ${level}`, text: concern(level) }))];
  if (abstained || probability === null) parts.push(note(`Gives no level of concern${why ? `: ${why}` : ""}`));
  else parts.push(el("ul", { class: "bars" }, bar("Concern", probability, "", level)));
  if (reasons.length) parts.push(el("ul", { class: "reasons" }, ...reasons.map((text) => el("li", { text }))));
  return parts;
}

function domain({ out_of_domain: found }) {
  return found?.flag ? [note(`Unlike the images that the model was taught with (score ${found.score.toFixed(2)}): trust it less.`)] : [];
}

function change({ change: found }) {
  if (!found) return [];
  const parts = [];
  const { volume_ratio: ratio, volume_ratio_ci: ci, doubling_time_days: days, level } = found;
  if (level) parts.push(level);
  if (ratio) parts.push(`volume × ${ratio.toFixed(2)}${ci ? ` (95 % interval ${ci.map((v) => v.toFixed(2)).join("–")})` : ""}`);
  if (days) parts.push(`doubles in ${Math.round(days)} days`);
  return [el("h4", { text: "Change since the prior" }), el("p", { text: parts.join("; ") || "not measured" })];
}

/** @param {object} model @param {Map<string, string>} labels */
export function modelCard(model, labels) {
  return el("section", { class: "card model", "aria-label": "The model's answer" },
    el("h3", {}, "The model's answer ", el("span", { class: "faint", text: model.name ?? "" })),
    ...domain(model), ...finding(model), ...pattern(model, labels), ...concerned(model), ...change(model));
}
