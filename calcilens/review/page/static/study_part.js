// The part of the panel on the chosen lesion: answers, the model's once it may be seen, and the form.
import { el, fill, say } from "./dom.js";
import { compared } from "./study_compare.js";
import { AnswerForm } from "./study_form.js";
import { modelCard } from "./study_model.js";
import { NEW, modelSays, phase, place, start } from "./study_state.js";
import { amount } from "./words.js";

const MOST_ANSWERS = 3; // beside each other in the panel; the model's has a card of its own

const WORDS = {
  blind: "Your answer first. The model's is shown once you have committed yours.",
  compare: "Yours is committed. Agree with the model, keep yours, or change it.",
  verdict: "Agree with the model, or give your own verdict.",
  saved: "Your verdict is saved. It can be changed until you sign.",
  settle: "The readers differ. Take one answer, or give your own.",
  closed: "",
};

/** Draws the chosen lesion; keeps the form while what it is about stays the same. */
export class LesionPart {
  constructor(element, session, labels, outline) {
    Object.assign(this, { element, session, labels, outline, form: null, about: "" });
  }

  /** Whether the form is to be seen: at once, or after "Change". */
  get open() {
    const { lesion, chosen, study, changing, drafts } = this.session;
    if (chosen === NEW) return true;
    if (!lesion) return false;
    const at = phase(study, lesion);
    if (at === "closed") return false;
    return ["blind", "verdict", "settle"].includes(at) || changing || drafts.read(lesion.id) !== null;
  }

  draw() {
    const { study, lesion, chosen } = this.session;
    const about = JSON.stringify([chosen, lesion && phase(study, lesion), lesion?.mine?.seq, lesion?.committed?.seq, lesion?.settled?.seq, this.open]);
    if (about === this.about) return this.#placed();
    this.about = about;
    this.form = this.open ? this.#form(lesion) : null;
    fill(this.element, ...this.#head(lesion), ...this.#answers(lesion), this.form?.element);
    if (this.form) this.outline.attach(this.form, lesion);
    this.images = study.images.length;
    this.element.scrollTop = 0;
  }

  /** What is known once the images are there; the form stays as it is, with its focus. */
  #placed() {
    const { study, lesion } = this.session;
    const where = this.element.querySelector("h2 .faint");
    if (where && lesion) say(where, place(study, lesion));
    if (this.form && study.images.length !== this.images) this.outline.draw();
    this.images = study.images.length;
  }

  /** Draw anew although nothing was saved, as after a draft was put aside. */
  again() {
    this.about = "";
    this.draw();
  }

  #form(lesion) {
    const { session } = this;
    const id = lesion?.id ?? NEW;
    const draft = session.drafts.read(id);
    const form = new AnswerForm(draft?.answer ?? (lesion && start(session.study, lesion)), (answer) => {
      session.draft(id, { ...answer, place: form.place });
      session.dispatchEvent(new Event("draft"));
    });
    form.place = draft?.answer.place ?? null;
    return form;
  }

  #head(lesion) {
    if (!lesion) {
      const empty = this.session.study.lesions.length ? "Choose a lesion." : "The model found no lesion. Add one that it missed, or sign.";
      return [el("h2", { text: this.session.chosen === NEW ? "A missed lesion" : empty })];
    }
    const { study } = this.session;
    const added = lesion.added_by ? ` Added by ${lesion.added_by}.` : "";
    return [
      el("h2", {}, `Lesion ${lesion.number} `, el("span", { class: "faint", text: place(study, lesion) })),
      el("p", { class: "hint", text: measured(lesion.measurements) + added }),
      el("p", { class: "todo", text: todo(study, lesion) }),
    ];
  }

  #answers(lesion) {
    if (!lesion) return [];
    const columns = this.#columns(lesion);
    const told = columns.some(({ answer }) => answer?.comment);
    const parts = lesion.model && lesion.others.length === 0 ? ["calcified", "patterns", "concern", ...(told ? ["comment"] : [])] : undefined;
    return [
      columns.length > 0 && compared(columns, this.labels, "Answers on this lesion", parts),
      lesion.model && modelCard(lesion.model, this.labels),
    ].filter(Boolean);
  }

  #columns(lesion) {
    const { study } = this.session;
    const own = lesion.mine?.answer ?? lesion.committed?.answer;
    const columns = lesion.others.map(({ reader, answer }) => ({ name: reader, answer }));
    if (own) columns.unshift({ name: lesion.mine ? "Your verdict" : "You, committed", answer: own });
    if (lesion.settled) columns.push({ name: `Settled by ${lesion.settled.reader}`, answer: lesion.settled.answer });
    if (lesion.model && study.mine !== "settling" && columns.length < MOST_ANSWERS) columns.push({ name: "Model", answer: modelSays(lesion.model) });
    return columns;
  }
}

function todo(study, lesion) {
  const at = phase(study, lesion);
  if (at !== "settle" || lesion.others.length > 1) return WORDS[at];
  return `Only ${lesion.added_by ?? lesion.others[0]?.reader} answered here. Take the answer, or give your own: “Not a calcification” rejects it.`;
}

function measured(found) {
  if (!found) return "";
  const parts = [
    found.max_diameter_mm && `largest diameter ${amount(found.max_diameter_mm, "mm")}`,
    found.volume_mm3 && `volume ${amount(found.volume_mm3, "mm³", 0)}`,
    found.mean_hu && `mean ${amount(found.mean_hu, "HU", 0)}`,
    found.skin_distance_mm && `${amount(found.skin_distance_mm, "mm")} below the skin`,
    found.depth && `${found.depth} to the fascia`,
  ].filter(Boolean);
  return parts.length ? `${parts.join(", ")}.` : "";
}
