// The form of one answer: filled from a draft or what is saved, and read back.
import { byId, el } from "./dom.js";

const CALCIFIED = { yes: true, no: false, unknown: null };
const FIELDS = ["calcified", "concern", "confidence"];
const ASKED = { calcified: "whether it is a calcification", concern: "a concern", confidence: "how sure you are" };

/** Labels of patterns by key, as the server wrote them into the page. */
export function labels() {
  const inputs = byId("answer-form").content.querySelectorAll("[name=patterns]");
  return new Map([...inputs].map((input) => [input.value, input.nextElementSibling.textContent]));
}

/** A form for one answer. */
export class AnswerForm {
  /**
   * @param {object|null} answer what it starts from; fields that are undefined are left open
   * @param {(answer: object) => void} changed told after every change of the reader
   */
  constructor(answer, changed) {
    this.element = byId("answer-form").content.firstElementChild.cloneNode(true);
    this.changed = changed;
    this.outline = { box: answer?.box ?? null, mask: answer?.mask ?? null };
    this.#fill(answer ?? {});
    this.element.addEventListener("input", () => this.#edited());
    this.element.addEventListener("submit", (event) => event.preventDefault());
    for (const event of ["focusin", "pointerover"]) this.element.addEventListener(event, look);
  }

  #edited() {
    this.#together();
    this.changed(this.read());
  }

  #fill(answer) {
    const form = this.element.elements;
    if (answer.calcified !== undefined) {
      form.calcified.value = Object.keys(CALCIFIED).find((key) => CALCIFIED[key] === answer.calcified);
    }
    if (answer.concern !== undefined) form.concern.value = answer.concern ?? "unknown";
    if (answer.confidence !== undefined) form.confidence.value = String(answer.confidence);
    form.comment.value = answer.comment ?? "";
    for (const input of form.patterns) input.checked = (answer.patterns ?? []).includes(input.value);
    this.#together();
  }

  /** Patterns are asked only where it is a calcification. */
  #together() {
    const asked = this.element.elements.calcified.value === "yes";
    const group = this.element.querySelector(".patterns");
    group.disabled = !asked;
    group.hidden = !asked;
  }

  /** The answer as far as it is given: a field not chosen is undefined. */
  read() {
    const form = this.element.elements;
    const chosen = [...form.patterns].filter((input) => input.checked && form.calcified.value === "yes");
    const level = form.concern.value;
    return {
      calcified: form.calcified.value ? CALCIFIED[form.calcified.value] : undefined,
      patterns: chosen.map((input) => input.value),
      concern: level ? (level === "unknown" ? null : level) : undefined,
      confidence: form.confidence.value ? Number(form.confidence.value) : undefined,
      comment: form.comment.value.trim(),
      ...this.outline,
    };
  }

  /** What is not chosen yet, in words; the first of it gets the focus. Empty when all is. */
  missing() {
    const answer = this.read();
    const open = FIELDS.filter((field) => answer[field] === undefined);
    if (open.length) this.element.elements[open[0]][0].focus();
    return open.length ? `Choose ${open.map((field) => ASKED[field]).join(", ")}.` : "";
  }

  /** Take a box or a mask drawn, or none, into the answer. */
  redrawn(outline) {
    this.outline = { box: null, mask: null, ...outline };
    this.#edited();
  }

  choose(calcified) {
    const form = this.element.elements;
    form.calcified.value = calcified;
    this.#edited();
    (calcified === "yes" ? form.patterns[0] : form.concern[0]).focus();
  }
}

function look(event) {
  const input = event.target.closest("label")?.control ?? event.target;
  if (!input.dataset?.look) return;
  const name = input.nextElementSibling.textContent;
  const line = input.form.querySelector(".look");
  line.replaceChildren(el("strong", { text: name }), `: ${input.dataset.look}`);
}
