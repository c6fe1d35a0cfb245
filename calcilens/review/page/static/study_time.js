// How long each step takes, while the page is seen.

const KEY = "calcilens-time";

/** Seconds by step and by lesion; a reload goes on where it stopped. */
export class Stopwatch {
  /** @param {string} study @param {() => number} now milliseconds */
  constructor(study, now = () => performance.now()) {
    this.key = `${KEY}:${study}`;
    this.now = now;
    const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "null");
    this.steps = kept?.steps ?? {};
    this.lesions = kept?.lesions ?? {};
    this.on = { step: "overview", lesion: null };
    this.since = document.hidden ? null : now();
    document.addEventListener("visibilitychange", () => this.#seen(!document.hidden));
    addEventListener("pagehide", () => this.#seen(false));
  }

  #seen(visible) {
    this.#count();
    this.since = visible ? this.now() : null;
    sessionStorage.setItem(this.key, JSON.stringify({ steps: this.steps, lesions: this.lesions }));
  }

  #count() {
    if (this.since === null) return;
    const now = this.now();
    const seconds = (now - this.since) / 1000;
    this.since = now;
    const { step, lesion } = this.on;
    this.steps[step] = (this.steps[step] ?? 0) + seconds;
    if (lesion) this.lesions[lesion] = (this.lesions[lesion] ?? 0) + seconds;
  }

  /** From now on time goes to this step and this lesion. */
  turn(step, lesion) {
    this.#count();
    this.on = { step, lesion };
  }

  /** Seconds on a lesion since its last save. */
  spent(lesion) {
    this.#count();
    return round(this.lesions[lesion] ?? 0);
  }

  saved(lesion) {
    this.lesions[lesion] = 0;
  }

  /** Seconds by step, for the signature. */
  all() {
    this.#count();
    return Object.fromEntries(Object.entries(this.steps).map(([step, s]) => [step, round(s)]));
  }

  clear() {
    [this.steps, this.lesions] = [{}, {}];
    sessionStorage.removeItem(this.key);
  }
}

const round = (seconds) => Math.round(10 * seconds) / 10;
