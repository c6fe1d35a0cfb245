// The keys of this page, in a dialog.
import { ask } from "./dialog.js";
import { lettersOn, setLetters } from "./keys.js";
import { el } from "./dom.js";

const NAMES = {
  ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", " ": "space", Escape: "Esc",
  PageUp: "Page up", PageDown: "Page down", ctrl: "Ctrl", shift: "Shift", alt: "Alt",
};

function chip(key) {
  const parts = key === "+" ? ["+"] : key.split(/\+(?=.)/);
  return el("kbd", { text: parts.map((part) => NAMES[part] ?? part).join(" ") });
}

function table(group, rows) {
  const body = el("tbody");
  for (const { keys, label } of rows) {
    const cell = el("td");
    keys.forEach((key, i) => cell.append(i ? " or " : "", chip(key)));
    body.append(el("tr", {}, el("th", { scope: "row", text: label }), cell));
  }
  return el("section", {}, el("h3", { text: group }), el("table", { class: "keys" }, body));
}

/** WCAG 2.1.4: keys of one letter can be switched off. */
function switchOf() {
  const box = el("input", { type: "checkbox", checked: lettersOn(), on: { change: () => setLetters(box.checked) } });
  return el("label", { class: "switch" }, box, " Keys without Ctrl are on");
}

/** @param {{group: string, keys: string[], label: string}[]} keys */
export async function showHelp(keys) {
  if (document.querySelector("dialog[open]")) return;
  const groups = [...new Set(keys.map((one) => one.group))];
  const parts = groups.map((group) => table(group, keys.filter((one) => one.group === group)));
  await ask("Keys", [el("div", { class: "help" }, ...parts), switchOf()], [{ key: "close", text: "Close", main: true }]);
}
