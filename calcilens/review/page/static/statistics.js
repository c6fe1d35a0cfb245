// Figures and plots of the reviews.
import { get } from "./api.js";
import { byId, el, say } from "./dom.js";
import { keysOfPage } from "./shell.js";

const plain = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

function value(found) {
  if (found === null || found === undefined) return "–";
  if (typeof found === "number") return Number.isInteger(found) ? String(found) : found.toFixed(2);
  if (typeof found === "boolean") return found ? "yes" : "no";
  if (Array.isArray(found)) return found.map(value).join(" to ");
  return String(found);
}

const isGroup = (found) => found !== null && typeof found === "object" && !Array.isArray(found);
const isRows = (found) => Array.isArray(found) && found.length > 0 && found.every(isGroup);

function table(rows, name) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return el("table", {},
    el("caption", { class: "hidden", text: name }),
    el("thead", {}, el("tr", {}, ...columns.map((one) => el("th", { scope: "col", text: plain(one) })))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...columns.map((one) => el("td", { text: told(row[one]) }))))));
}

function told(found) {
  return isGroup(found) ? Object.entries(found).map(([key, one]) => `${plain(key).toLowerCase()} ${value(one)}`).join(", ") : value(found);
}

function pairs(group) {
  const rows = Object.entries(group).filter(([, one]) => !isRows(one)).map(([key, one]) =>
    el("tr", {}, el("th", { scope: "row", text: plain(key) }), el("td", { text: told(one) })));
  return rows.length ? el("table", {}, el("tbody", {}, ...rows)) : null;
}

function card(name, found) {
  const inside = isRows(found)
    ? [table(found, plain(name))]
    : [pairs(found), ...Object.entries(found).filter(([, one]) => isRows(one)).flatMap(([key, one]) => [el("h3", { text: plain(key) }), table(one, plain(key))])];
  return el("section", { class: "card" }, el("h2", { text: plain(name) }), ...inside);
}

function plot({ name, title, text }) {
  const image = el("img", { src: `/statistics/${encodeURIComponent(name)}.svg`, alt: text ?? title });
  return el("figure", { class: "card" }, image, el("figcaption", { class: "hint", text: text ?? title }));
}

async function show() {
  try {
    const { plots = [], ...figures } = await get("/api/statistics");
    const single = Object.fromEntries(Object.entries(figures).filter(([, one]) => !isGroup(one) && !isRows(one)));
    const groups = Object.entries(figures).filter(([, one]) => isGroup(one) || isRows(one));
    const cards = [...(Object.keys(single).length ? [["overall", single]] : []), ...groups];
    byId("figures").replaceChildren(...cards.map(([name, one]) => card(name, one)));
    byId("plots").replaceChildren(...plots.map(plot));
    say(byId("status"), cards.length ? "" : "There are no reviews yet.");
  } catch (fault) {
    say(byId("status"), "");
    say(byId("error"), `The figures could not be read: ${fault.message}`);
  }
}

keysOfPage([]);
show();
