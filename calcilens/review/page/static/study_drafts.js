// What is entered and not yet saved: kept in this tab, so that a reload or a lost connection loses nothing.

const START = "calcilens-draft";

/**
 * Drafts of one reader on one study, by lesion and by the verdict that they started from.
 * @typedef {{based_on: number, answer: object, drawing?: object}} Draft
 */
export class Drafts {
  /** @param {string} reader @param {string} study */
  constructor(reader, study) {
    this.start = `${START}:${reader}:${study}:`;
  }

  #keys(lesion = null) {
    const start = this.start + (lesion === null ? "" : `${lesion}:`);
    return Object.keys(sessionStorage).filter((key) => key.startsWith(start));
  }

  /** @returns {Draft|null} */
  read(lesion) {
    const [key] = this.#keys(lesion);
    return key ? JSON.parse(sessionStorage.getItem(key)) : null;
  }

  /** @param {string} lesion @param {Draft} draft */
  write(lesion, draft) {
    this.drop(lesion);
    sessionStorage.setItem(`${this.start}${lesion}:${draft.based_on}`, JSON.stringify(draft));
  }

  drop(lesion) {
    for (const key of this.#keys(lesion)) sessionStorage.removeItem(key);
  }

  /** Lesions with something not saved. */
  lesions() {
    return [...new Set(this.#keys().map((key) => key.slice(this.start.length).split(":")[0]))];
  }
}
