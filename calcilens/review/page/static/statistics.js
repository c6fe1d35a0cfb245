// Figures and plots of the reviews.
import { get } from "./api.js";
import { byId, el, say } from "./dom.js";
import { keysOfPage } from "./shell.js";

const TITLES = {
  n: "What was read", between_readers: "Between readers", reader_and_model: "Readers and model",
  overrides: "Answers of the model that readers changed", minds_changed: "Changed after seeing the model's",
  missed: "Lesions that readers added", drift: "Changed answers by month", seconds: "Seconds a step",
};
const FEW = "few";

const WORDS = {
  all: "All", finding: "Calcified or not", concern: "Concern", pattern: "Pattern", blinded: "Before the model's answer was seen",
  final: "Final answers", n: "Number",
};
const PEOPLE = "by_reader";
const LABELS = new Map([...byId("labels").content.children].map((one) => [one.value, one.textContent]));

/** A key in words; names of people stay as they are. */
function plain(name, within = "") {
  if (within === PEOPLE) return name;
  return WORDS[name] ?? LABELS.get(name) ?? name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
}

const number = (value) => (Number.isInteger(value) ? String(value) : share(value)).replace("-", "−");
const share = (value) => value.toFixed(2).replace("-", "−");
const range = (ends) => (ends ? ` (${ends.map(share).join(" to ")})` : "");
const isGroup = (found) => found !== null && typeof found === "object" && !Array.isArray(found);

/** The main value of an estimate, or undefined where an object is a group of others. */
function estimate(found) {
  return ["kappa", "share", "median"].map((name) => found[name]).find((value) => value !== undefined);
}

/** An estimate, or a plain value, in words. */
function told(found) {
  if (found === null || found === undefined) return "–";
  if (typeof found === "number") return number(found);
  if (Array.isArray(found)) return range(found).trim();
  if (!isGroup(found)) return String(found);
  const value = estimate(found);
  if (value === null) return `– of ${found.n}`;
  return `${share(value)}${range(found.ci95 ?? found.quartiles)}, n ${found.n}`;
}

function row(name, found, depth) {
  const head = el("th", { scope: "row", class: `depth-${depth}`, text: name });
  const cell = el("td", { text: told(found) });
  if (isGroup(found) && found.small) cell.append(" ", el("span", { class: "tag", title: "Too few for a figure to rest on", text: FEW }));
  return el("tr", {}, head, cell);
}

/** Rows of a group: estimates and values; groups inside it follow their name. */
function rows(group, depth = 0, within = "") {
  return Object.entries(group).flatMap(([name, found]) => {
    if (Array.isArray(found) && found.some(isGroup)) return found.map((one) => row(Object.values(one)[0], one, depth));
    if (!isGroup(found) || estimate(found) !== undefined) return [row(plain(name, within), found, depth)];
    const inside = rows(found, Math.min(depth + 1, 3), name);
    const title = el("tr", {}, el("th", { scope: "rowgroup", colspan: "2", class: `depth-${depth}`, text: plain(name, within) }));
    return inside.length ? [title, ...inside] : [];
  });
}

function card(name, found) {
  const table = el("table", {}, el("caption", { class: "hidden", text: TITLES[name] ?? plain(name) }), el("tbody", {}, ...rows(found)));
  return el("section", { class: "card" }, el("h2", { text: TITLES[name] ?? plain(name) }), table);
}

const plot = ({ name, text }) =>
  el("figure", { class: "card" }, el("img", { src: `/statistics/${encodeURIComponent(name)}.svg`, alt: text }));

async function show() {
  try {
    const figures = await get("/api/statistics");
    const groups = Object.entries(figures).filter(([, found]) => isGroup(found));
    byId("figures").replaceChildren(...groups.map(([name, found]) => card(name, found)));
    byId("plots").replaceChildren(...(figures.plots ?? []).map(plot));
    const small = figures.small_below ? ` “${FEW}”: fewer than ${figures.small_below}, a figure that little rests on.` : "";
    say(byId("status"), `Of studies read to the end. Ranges are 95 % intervals, of times quartiles.${small}`);
  } catch (fault) {
    say(byId("status"), "");
    say(byId("error"), `The figures could not be read: ${fault.message}`);
  }
}

keysOfPage([]);
show();
