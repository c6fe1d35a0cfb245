// Lesions of the study, with what is still to do on each.
import { el, fill } from "./dom.js";
import { NEW, missing, place, standing } from "./study_state.js";
import { plural } from "./words.js";

const MARGIN_PX = 6;

/** Draw the list into an element. */
export function drawList(element, session) {
  const { study } = session;
  const unsaved = session.drafts.lesions();
  const items = study.lesions.map((lesion) => item(session, lesion, unsaved.includes(lesion.id)));
  if (session.chosen === NEW) items.push(el("li", {}, el("p", { class: "lesion current", text: "+ A missed lesion, not saved yet" })));
  const left = missing(study).length;
  const told = !study.lesions.length ? "No lesion was found" : left ? `${left} of ${plural(study.lesions.length, "lesion")} to do` : `${plural(study.lesions.length, "lesion")}, all done`;
  fill(element, el("h2", {}, "Lesions ", el("span", { class: "faint", text: told })), el("ol", { class: "lesions" }, ...items));
  bring(element, element.querySelector(".current"));
}

/** Scroll the chosen one into sight, the list alone: not the page. */
function bring(list, current) {
  if (!current) return;
  const [inside, around] = [current.getBoundingClientRect(), list.getBoundingClientRect()];
  if (inside.top < around.top) list.scrollTop -= around.top - inside.top + MARGIN_PX;
  if (inside.bottom > around.bottom) list.scrollTop += inside.bottom - around.bottom + MARGIN_PX;
}

function item(session, lesion, unsaved) {
  const { sign, words, done } = standing(session.study, lesion);
  const current = lesion.id === session.chosen;
  const has = {
    type: "button", class: `lesion${current ? " current" : ""}`, "aria-current": current ? "true" : null,
    data: { key: lesion.id }, on: { click: () => session.choose(lesion.id) },
  };
  return el("li", {}, el("button", has,
    el("span", { class: "n", text: String(lesion.number) }),
    el("span", { class: "where", text: place(session.study, lesion) }),
    el("span", { class: `standing ${done ? "done" : "open"}`, text: `${sign} ${words}` }),
    unsaved && el("span", { class: "tag", text: "not saved" })));
}
