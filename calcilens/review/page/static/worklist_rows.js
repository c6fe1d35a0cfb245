// Rows of the worklist, kept by study: a refresh changes their text and moves no focus.
import { button, el, say } from "./dom.js";
import { STATES, concern, date } from "./words.js";

const rows = new Map();
const MINE = { reading: "you read it", signed: "you signed", settling: "you settle it" };

/**
 * Show these studies in this order.
 * @param {HTMLElement} body
 * @param {(action: string, study: any) => void} act
 */
export function show(body, studies, act) {
  const focused = document.activeElement?.closest?.("tr")?.dataset.study;
  const part = document.activeElement?.dataset?.key;
  const wanted = studies.map((study) => row(study, act));
  const same = wanted.length === body.children.length && wanted.every((tr, i) => body.children[i] === tr);
  if (!same) body.replaceChildren(...wanted);
  if (focused && !body.contains(document.activeElement)) {
    rows.get(focused)?.querySelector(`[data-key="${CSS.escape(part ?? "open")}"], a`)?.focus({ preventScroll: true });
  }
}

function row(study, act) {
  let tr = rows.get(study.study_uid);
  if (!tr) {
    tr = el("tr", { data: { study: study.study_uid } }, ...Array.from({ length: 9 }, () => el("td")));
    rows.set(study.study_uid, tr);
  }
  const known = JSON.stringify(study);
  if (tr.dataset.known === known) return tr;
  tr.dataset.known = known;
  const [day, modality, teaches, level, lesions, state, held, uid, actions] = tr.children;
  link(day, study);
  say(modality, study.modalities.join(" "));
  gauge(teaches, study);
  say(level, study.concern === null ? "–" : concern(study.concern));
  level.className = study.concern ?? "faint";
  say(lesions, String(study.lesions) + (study.comparison ? " + prior" : ""));
  state.replaceChildren(el("span", { class: `state ${study.state}`, title: STATES[study.state]?.[1], text: study.state }));
  held.className = "held";
  held.title = study.holders.join(", ");
  say(held, [study.holders.join(", "), MINE[study.mine]].filter(Boolean).join(" · ") || "–");
  uid.replaceChildren(el("span", { class: "uid", title: study.study_uid, text: study.study_uid }));
  doable(actions, study, act);
  return tr;
}

function link(cell, study) {
  const text = date(study.study_date);
  const open = study.can.includes("open");
  const has = { data: { key: "open" }, text };
  if (open) cell.replaceChildren(el("a", { href: address(study), ...has }));
  else cell.replaceChildren(el("span", { tabindex: "-1", ...has }));
}

export const address = (study) => `/studies/${encodeURIComponent(study.study_uid)}`;

function gauge(cell, { uncertainty, abstained }) {
  const share = uncertainty ?? 0;
  const fill = el("span", { class: "fill" });
  fill.style.width = `${100 * share}%`;
  const number = uncertainty === null ? "–" : share.toFixed(2);
  cell.replaceChildren(
    el("span", { class: "gauge", "aria-hidden": "true" }, fill),
    ` ${number}`,
    " ",
    abstained && el("span", { class: "tag", title: "The model gives no answer on a lesion of this study", text: "abstains" }) || "",
  );
}

const ACTIONS = { open: "Open", take: "Take", release: "Release", reopen: "Reopen", end: "End hold" };

function doable(cell, study, act) {
  const made = Object.keys(ACTIONS).filter((action) => study.can.includes(action));
  const day = date(study.study_date);
  const parts = made.map((action) =>
    button(ACTIONS[action], () => act(action, study), {
      data: { key: `do-${action}` },
      "aria-label": `${ACTIONS[action]} the study of ${day}, UID ending ${study.study_uid.slice(-6)}`,
    }),
  );
  if (!study.images) parts.push(el("span", { class: "warn small", title: study.why_no_images, text: "no images" }));
  cell.replaceChildren(...parts);
}
