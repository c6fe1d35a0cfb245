// Head of the study page, and what happened to the study.
import { el, fill } from "./dom.js";
import { STATES, date } from "./words.js";

const HELD = { reading: "you read it", signed: "you signed", settling: "you settle it" };
const KINDS = {
  taken: "took the study", released: "released it", committed: "committed an answer", verdict: "gave a verdict",
  added: "added", withdrawn: "withdrew", signed: "signed", settled: "settled", reopened: "reopened it",
};

export function drawFacts(element, { study, mine, mode, ohif }) {
  const [state, why] = STATES[study.state] ?? [study.state, ""];
  const facts = [
    ["Study", date(study.study_date)],
    ["Modality", study.modalities.join(" ")],
    ["State", el("span", { title: why }, state, mine && el("span", { class: "faint", text: `, ${HELD[mine]}` }))],
    ["Mode", mode.blinded ? "blinded first" : "not blinded"],
  ];
  const parts = facts.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", {}, value)));
  if (ohif) parts.push(el("div", {}, el("dt", { text: "Elsewhere" }), el("dd", {}, el("a", { href: ohif, target: "_blank", rel: "noreferrer", text: "OHIF" }))));
  fill(element, ...parts);
}

export function drawHistory(element, { history, lesions }) {
  const number = new Map(lesions.map((one) => [one.id, one.number]));
  const rows = history.map(({ time, reader, kind, lesion }) => {
    const word = ["added", "withdrawn"].includes(kind) ? "" : " on";
    const on = lesion ? `${word} lesion ${number.get(lesion) ?? "(withdrawn)"}` : "";
    return el("li", {}, el("time", { class: "faint", datetime: String(time), text: moment(time) }), ` ${reader} ${KINDS[kind] ?? kind}${on}`);
  });
  fill(element, rows.length ? el("ol", { class: "history" }, ...rows) : el("p", { class: "empty", text: "Nothing has happened to this study yet." }));
}

function moment(time) {
  const at = new Date(typeof time === "number" ? 1000 * time : time);
  return at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}
