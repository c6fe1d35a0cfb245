// What the rules say, with sources: apart from the network's answer and named so.
import { el } from "./dom.js";

const cite = (said) => el("span", { class: "cite", text: ` [${said.sources.join("; ")}]` });

function because(said) {
  if (!said.because?.length) return null;
  return el("span", { class: "faint", text: `: ${said.because.map((one) => `${one.words} (${one.origin})`).join("; ")}` });
}

const item = (said, kind = "") => el("li", { class: kind }, said.say, because(said), cite(said));

function list(title, said, none) {
  const content = said.length ? el("ul", {}, ...said.map((one) => item(one))) : el("p", { class: "faint", text: none });
  return [el("h4", { text: title }), content];
}

function cause(weighed) {
  const kinds = [["for", "+ "], ["against", "− "], ["settles", "? "]];
  const rows = kinds.flatMap(([kind]) => weighed[kind].map((said) => item(said, kind)));
  const chip = weighed.dangerous ? el("span", { class: "tag", text: "not to be missed" }) : null;
  return el("li", {}, el("details", {}, el("summary", {}, weighed.name, " ", chip), el("ul", { class: "args" }, ...rows)));
}

function causes(title, weighed) {
  return weighed.length ? [el("h4", { text: title }), el("ol", {}, ...weighed.map(cause))] : [];
}

function ofLesion(one, number) {
  const features = one.concern.features;
  const present = features.filter((said) => said.standing === "present");
  const unknown = [...new Set(features.filter((said) => said.standing === "not known").map((said) => said.ask))];
  return [
    el("h3", { text: number ? `Lesion ${number}` : "The lesion" }),
    ...list("Concerning features", present, "None is known."),
    ...one.disagreements.map((words) => el("p", { class: "warn", text: `Facts disagree: ${words}` })),
    unknown.length && el("p", { class: "hint", text: `Not known: ${unknown.join("; ")}.` }),
    ...list("Next steps, as the documents have them", one.next_steps, "None applies."),
    ...causes("Differential: best supported first, the order is no probability", one.differential),
    ...causes("Mechanism", one.mechanisms.filter((weighed) => weighed.for.length)),
  ];
}

function patient(found) {
  const pitfalls = found.pitfalls.filter((said) => said.standing === "present");
  const sources = Object.entries(found.sources).map(([key, source]) => el("li", {}, `${key}: ${source.title}. `, el("span", { class: "faint", text: source.by })));
  return [
    ...list("Missing of the initial assessment", found.missing, "Nothing."),
    ...list("Pitfalls that apply", pitfalls, "None is known to apply."),
    el("h4", { text: "Sources" }), el("ul", { class: "sources" }, ...sources),
    el("p", { class: "hint", text: found.notice }),
  ];
}

/** Content of the guidance tab for the chosen lesion. */
export function guidance(study, lesion) {
  const title = el("p", { class: "rules-head" }, el("strong", { text: "Rules, not the network." }), " Drawn from documents, each with its source.");
  if (!study.guidance) {
    const why = study.lesions.some((one) => !one.revealed)
      ? "Shown once every lesion of this study has your committed answer."
      : "This report has no guidance.";
    return [title, el("p", { class: "empty", text: why })];
  }
  const one = study.guidance.lesions.find((found) => found.lesion === lesion?.id);
  const none = el("p", { class: "faint", text: "No rules on this lesion: a reader added it, or none is chosen." });
  return [title, ...(one ? ofLesion(one, lesion.number) : [none]), ...patient(study.guidance)];
}
