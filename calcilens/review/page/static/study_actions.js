// What can be done next: on the lesion and on the study. Refusals are said; a conflict is decided.
import { ApiError, get, post } from "./api.js";
import { ask, askRelease, askText } from "./dialog.js";
import { button, el, fill } from "./dom.js";
import { brief } from "./study_compare.js";
import { decide } from "./study_conflict.js";
import { NEW, missing, modelAnswer, phase, start } from "./study_state.js";
import { plural } from "./words.js";

const NOT_ALLOWED = 403;
const CONFLICT = 409;
const MOST_NUMBERS = 6;

export class Actions {
  /** @param {{lesion: Element, study: Element, failed: Element}} at */
  constructor(at, session, part, labels, me) {
    Object.assign(this, { at, session, part, labels, me });
  }

  draw() {
    const { study } = this.session;
    fill(this.at.lesion, ...this.#onLesion());
    const can = (action) => study.can.includes(action);
    const made = [
      can("take") && button("Take", () => this.run(() => this.session.save("/take", {})), { data: { key: "take" } }),
      can("add") && study.images.length > 0 && this.session.chosen !== NEW && button("Add a missed lesion", () => this.missed(), { data: { key: "add" } }),
      can("release") && button("Release", () => this.release(), { data: { key: "release" } }),
      can("reopen") && button("Reopen", () => this.reopen(), { data: { key: "reopen" } }),
      ["reading", "settling"].includes(study.mine) && button("Sign the study", () => this.sign(), { class: missing(study).length ? "" : "main", data: { key: "sign" } }),
      !["reading", "settling"].includes(study.mine) && !can("take") && button("Take the next study", () => this.next(), { class: "main", data: { key: "next" } }),
    ];
    fill(this.at.study, ...made.filter(Boolean));
  }

  #onLesion() {
    const { study, lesion, chosen } = this.session;
    if (chosen === NEW) return [this.#save("Save the missed lesion"), button("Discard", () => this.discard(NEW), { data: { key: "discard-new" } })];
    const at = lesion && phase(study, lesion);
    if (!at || at === "closed") return [];
    if (at === "blind") return [this.#save("Commit answer")];
    const more = lesion.settled && missing(study).length > 0 && this.#next();
    if (at === "settle") return [more, ...lesion.others.map((one) => this.#settle(one)), button("Save my own", () => this.save(), { data: { key: "save" }, title: "Ctrl Enter" })].filter(Boolean);
    const open = this.part.open;
    return [
      lesion.model && at !== "saved" && this.#agree(lesion),
      at === "compare" && !open && button("Keep mine", () => this.keep(), { data: { key: "keep" } }),
      !open && button("Change …", () => this.change(), { data: { key: "change" } }),
      open && this.#save(at === "saved" ? "Save the change" : "Save verdict"),
      open && at !== "verdict" && button("Cancel", () => this.discard(lesion.id), { data: { key: "cancel" } }),
      at === "saved" && !open && missing(study).length > 0 && this.#next(),
      lesion.added_by === this.me && at === "saved" && !open && button("Withdraw", () => this.withdraw(), { data: { key: "withdraw" } }),
    ].filter(Boolean);
  }

  #save = (text) => button(text, () => this.save(), { class: "main", data: { key: "save" }, title: "Ctrl Enter" });

  #next = () => button("Next lesion to do", () => this.nextLesion(), { class: "main", data: { key: "next-lesion" }, title: "u" });

  #agree(lesion) {
    const answer = modelAnswer(lesion.model, start(this.session.study, lesion));
    const told = `Saves: ${brief(answer, this.labels)}`;
    return button("Agree with model", () => this.agree(), { data: { key: "agree" }, title: told, disabled: answer.calcified === undefined });
  }

  #settle({ reader, answer }) {
    return button(`Take ${reader}'s`, () => this.run(() => this.#answer("settle", answer)), { data: { key: `take-${reader}` }, title: brief(answer, this.labels) });
  }

  /** Go to the next lesion that keeps the study from being signed. */
  nextLesion() {
    const { study, chosen } = this.session;
    const at = study.lesions.findIndex((one) => one.id === chosen);
    const open = missing(study);
    const next = open.find((one) => study.lesions.indexOf(one) > at) ?? open[0];
    if (next) this.session.choose(next.id);
  }

  /** Run something that may be refused; what was refused is said. */
  async run(task) {
    if (this.session.saving) return;
    this.at.failed.textContent = "";
    try {
      await task();
    } catch (fault) {
      if (!(fault instanceof ApiError)) throw fault;
      this.at.failed.textContent = fault.message;
      if (fault.status === NOT_ALLOWED) await this.#stillMine();
    }
  }

  /** After a refusal: what may be done now, or that the study is open no more. */
  async #stillMine() {
    try {
      await this.session.load();
    } catch (fault) {
      if (fault.status !== NOT_ALLOWED) throw fault;
      this.session.dispatchEvent(new Event("gone"));
    }
  }

  async #answer(kind, answer) {
    const { session } = this;
    const lesion = session.lesion;
    try {
      await session.answer(kind, lesion, answer);
    } catch (fault) {
      if (fault.status !== CONFLICT || !fault.current) throw fault;
      await this.#conflict(kind, lesion, answer, fault.current);
    }
  }

  async #conflict(kind, lesion, answer, current) {
    const { session } = this;
    const same = JSON.stringify(plain(current.answer)) === JSON.stringify(plain(answer)) && current.reader === this.me;
    const choice = same ? "theirs" : await decide(kind, current, answer, this.me, this.labels);
    if (choice === "mine" && kind !== "commit") return void (await session.answer(kind, lesion, answer, current.seq));
    if (choice === "mine") await this.#asVerdict(lesion, answer);
    if (choice === "theirs") session.drafts.drop(lesion.id);
    if (choice === null) session.draft(lesion.id, answer);
    await session.load();
    this.part.again();
    this.draw();
  }

  /** A committed answer stays; what this tab has becomes the verdict. */
  async #asVerdict(lesion, answer) {
    const found = (await get(this.session.base)).lesions.find((one) => one.id === lesion.id);
    await this.session.answer("verdict", lesion, answer, found?.mine?.seq ?? 0);
  }

  /** Save the form, with what was drawn for it. */
  async save() {
    const { form, outline } = this.part;
    const { chosen, study, lesion } = this.session;
    if (!form || this.session.saving) return;
    const missingField = form.missing();
    if (missingField) return void (this.at.failed.textContent = missingField);
    if (!(await outline.use())) return;
    const answer = plain(form.read());
    if (chosen === NEW) return this.#add(form, answer);
    const kind = { blind: "commit", settle: "settle" }[phase(study, lesion)] ?? "verdict";
    return this.run(() => this.#answer(kind, answer));
  }

  #add(form, answer) {
    if (!form.place) return void (this.at.failed.textContent = "Draw a box or a mask around the lesion first.");
    return this.run(() => this.session.add(answer, form.place));
  }

  agree() {
    const { study, lesion } = this.session;
    if (!lesion?.model || !["compare", "verdict"].includes(phase(study, lesion))) return;
    return this.run(() => this.#answer("verdict", modelAnswer(lesion.model, start(study, lesion))));
  }

  keep() {
    const { study, lesion } = this.session;
    if (lesion && phase(study, lesion) === "compare") return this.run(() => this.#answer("verdict", plain(lesion.committed.answer)));
  }

  change() {
    const { study, lesion } = this.session;
    if (!lesion || phase(study, lesion) === "closed") return;
    this.session.changing = true;
    this.session.dispatchEvent(new Event("change"));
    this.part.element.querySelector("input:checked, input")?.focus();
  }

  missed() {
    this.session.choose(NEW);
    this.part.outline.begin("box");
  }

  discard(id) {
    this.session.drafts.drop(id);
    this.session.changing = false;
    if (id === NEW) this.session.choose(this.session.study.lesions[0]?.id ?? null);
    this.part.outline.stop();
    this.part.again();
    this.session.dispatchEvent(new Event("change"));
  }

  withdraw() {
    const { session } = this;
    const { lesion } = session;
    return this.run(() => session.save(`/lesions/${encodeURIComponent(lesion.id)}/withdraw`, { based_on: session.basis(lesion) }, lesion.id));
  }

  async sign() {
    const { session } = this;
    const { study } = session;
    if (!["reading", "settling"].includes(study.mine)) return;
    const open = missing(study);
    const unsaved = session.drafts.lesions();
    if (open.length || unsaved.length) return this.#wanted(open, unsaved);
    const lines = study.lesions.map((one) => el("li", {}, `Lesion ${one.number}: ${this.#stands(one)}`));
    const none = el("p", { text: "No lesion was found, and none was added." });
    const content = [el("p", { text: "Your signature ends your reading of this study:" }), lines.length ? el("ul", {}, ...lines) : none];
    const choice = await ask("Sign the study?", content, [{ key: "no", text: "Cancel" }, { key: "sign", text: "Sign", main: true }]);
    if (choice !== "sign") return;
    await this.run(async () => {
      await session.save("/sign", { seconds: session.time.all() });
      session.time.clear();
    });
  }

  #stands({ settled, mine, others }) {
    const answer = (settled ?? mine ?? others[0])?.answer;
    return answer ? brief(answer, this.labels) : "–";
  }

  #wanted(open, unsaved) {
    const numbers = open.slice(0, MOST_NUMBERS).map((one) => one.number).join(", ");
    const more = open.length > MOST_NUMBERS ? " and others" : "";
    const wanted = open.length ? `Still wanted: ${plural(open.length, "verdict")}, on lesion ${numbers}${more}.` : "";
    const kept = unsaved.length ? " Something that you entered is not saved: save it, or cancel it." : "";
    this.session.choose(open[0]?.id ?? unsaved[0]);
    this.at.failed.textContent = `Not signed. ${wanted}${kept}`;
  }

  async release() {
    if (await askRelease()) await this.run(() => this.session.save("/release", {}));
  }

  async reopen() {
    const reason = await askText("Reopen the study", "Why? It takes the signature back and stays in the journal.", "Reopen");
    if (reason) await this.run(() => this.session.save("/reopen", { reason }));
  }

  next() {
    return this.run(async () => {
      const { studies } = await get("/api/worklist");
      const urgent = (one) => (one.state === "disputed" ? 2 : one.uncertainty ?? 0); // uncertainty is at most 1
      const open = studies.filter((one) => one.can.includes("take")).sort((a, b) => urgent(b) - urgent(a));
      if (!open.length) return void (this.at.failed.textContent = "There is nothing more to take.");
      const address = `/studies/${encodeURIComponent(open[0].study_uid)}`;
      await post(`/api${address}/take`);
      location.assign(address);
    });
  }
}

/** An answer with all its fields in one order, and no other. */
function plain(answer) {
  const { calcified, patterns, concern, confidence, comment, box, mask } = answer;
  return { calcified, patterns: [...(patterns ?? [])].sort(), concern: concern ?? null, confidence, comment: comment ?? "", box: box ?? null, mask: mask ?? null };
}
