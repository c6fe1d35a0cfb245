// Answers side by side, with what differs marked by a sign and in words, not by colour alone.
import { el } from "./dom.js";
import { differences } from "./study_state.js";
import { calcified, concern, patterns } from "./words.js";

export const ROWS = { calcified: "Calcified", patterns: "Patterns", concern: "Concern", confidence: "How sure", comment: "Comment" };
const TOLD = {
  calcified: (answer) => calcified(answer.calcified),
  patterns: (answer, labels) => patterns(answer.patterns, labels),
  concern: (answer) => concern(answer.concern),
  confidence: (answer) => (answer.confidence ? `${answer.confidence} of 5` : "–"),
  comment: (answer) => answer.comment || "–",
};

function told(part, answer, labels) {
  if (!answer) return "–";
  return answer[part] === undefined ? "no answer" : TOLD[part](answer, labels);
}

/** Cells of a row; the last one says whether they differ. */
export function cells(part, answers, labels, differs) {
  const made = answers.map((answer) => el("td", { text: told(part, answer, labels) }));
  if (differs) made.at(-1).append(" ", el("span", { class: "tag", text: "≠ differs" }));
  return made;
}

/**
 * Columns of answers.
 * @param {{name: string, answer: object|null}[]} columns
 * @param {string[]} parts rows to show
 */
export function compared(columns, labels, caption, parts = Object.keys(ROWS)) {
  const [a, b] = columns.map((one) => one.answer);
  const differs = columns.length === 2 && a && b ? differences(a, b) : {};
  const head = el("tr", {}, el("td"), ...columns.map(({ name }) => el("th", { scope: "col", text: name })));
  const body = parts.map((part) =>
    el("tr", { class: differs[part] ? "differs" : "" },
      el("th", { scope: "row", text: ROWS[part] }), ...cells(part, columns.map((one) => one.answer), labels, differs[part])));
  return el("table", { class: "compare" }, el("caption", { class: "hidden", text: caption }), el("thead", {}, head), el("tbody", {}, ...body));
}

/** One answer in a line. */
export function brief(answer, labels) {
  const parts = [calcified(answer.calcified)];
  if (answer.patterns?.length) parts.push(patterns(answer.patterns, labels));
  parts.push(`concern ${concern(answer.concern).replace(/^\W+/, "").toLowerCase()}`);
  return parts.join(" · ");
}
