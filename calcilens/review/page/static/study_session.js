// One study as this tab knows it: reading it, saving to it, and what became of the last save.
import { ApiError, get, post } from "./api.js";
import { Drafts } from "./study_drafts.js";
import { Stopwatch } from "./study_time.js";
import { NEW, basis, missing } from "./study_state.js";
import { clock } from "./words.js";

/** Says "change" when anything to show is new, "chosen" when it is another lesion, "saved" with what is told of a save, and "closed" when the study is open to the reader no more. */
export class Session extends EventTarget {
  /** @param {string} uid @param {string} reader */
  constructor(uid, reader) {
    super();
    this.uid = uid;
    this.base = `/api/studies/${encodeURIComponent(uid)}`;
    this.drafts = new Drafts(reader, uid);
    this.time = new Stopwatch(uid);
    this.study = null;
    this.chosen = null;
    this.changing = false;
    this.saving = false;
  }

  /** The lesion chosen; null while a missed one is added, or where there is none. */
  get lesion() {
    return this.study.lesions.find((one) => one.id === this.chosen) ?? null;
  }

  async load() {
    this.#take(await get(this.base));
  }

  #take(study) {
    this.study = study;
    if (this.chosen !== NEW && !this.lesion) this.chosen = (missing(study)[0] ?? study.lesions[0])?.id ?? null;
    this.dispatchEvent(new Event("change"));
  }

  choose(id) {
    this.chosen = id;
    this.changing = false;
    this.dispatchEvent(new Event("chosen"));
    this.dispatchEvent(new Event("change"));
  }

  /** Choose the next or previous lesion, round and round. */
  step(by) {
    const ids = this.study.lesions.map((one) => one.id);
    if (!ids.length) return;
    const at = Math.max(ids.indexOf(this.chosen), 0);
    this.choose(ids[(at + by + ids.length) % ids.length]);
  }

  /** What an answer on this lesion was started from: the draft's, or what is saved now. */
  basis(lesion) {
    return this.drafts.read(lesion.id)?.based_on ?? basis(this.study, lesion);
  }

  draft(id, answer) {
    const lesion = this.study.lesions.find((one) => one.id === id);
    this.drafts.write(id, { based_on: lesion ? this.basis(lesion) : 0, answer });
  }

  /**
   * Save something and take over the study as the server then has it.
   * @returns {Promise<{seq: number, id?: string}>}
   * @throws {ApiError} it was refused
   */
  async save(path, body, lesion = null) {
    this.saving = true;
    this.#said(`Saving, begun ${clock()} …`, false);
    try {
      const done = await post(this.base + path, body);
      if (lesion) this.drafts.drop(lesion);
      if (lesion) this.time.saved(lesion);
      if (lesion) this.changing = false;
      if (done.id) this.chosen = done.id;
      this.#said(`Saved ${clock()}${done.seq ? `, entry ${done.seq}` : ""}`, true);
      this.saving = false;
      if (done.study) this.#take(done.study);
      else this.dispatchEvent(new Event("closed"));
      return done;
    } catch (fault) {
      if (fault instanceof ApiError) this.#said(`Not saved ${clock()}`, false);
      throw fault;
    } finally {
      this.saving = false;
    }
  }

  #said(text, done) {
    this.dispatchEvent(new CustomEvent("saved", { detail: { text, done } }));
  }

  /** Commit, verdict or settle, with the time spent on it. */
  answer(kind, lesion, answer, based_on = this.basis(lesion)) {
    const body = { answer, seconds: this.time.spent(lesion.id) };
    if (kind !== "commit") body.based_on = based_on;
    return this.save(`/lesions/${encodeURIComponent(lesion.id)}/${kind}`, body, lesion.id);
  }

  add(answer, { image, box }) {
    const body = { image, box, answer, seconds: this.time.spent(NEW) };
    return this.save("/lesions", body, NEW);
  }

  /** @returns {Promise<string>} name of a mask drawn, once the server keeps it */
  async keepMask({ image, box, bits }) {
    return (await post(`${this.base}/masks`, { image, box, bits })).mask;
  }
}
