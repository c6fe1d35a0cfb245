/** A live region that speaks once scrolling has stopped, not at every step. */

const QUIET_MS = 700;

export class Announcer {
  constructor() {
    this.element = document.createElement("p");
    this.element.className = "vw-live";
    this.element.setAttribute("aria-live", "polite");
    this.timer = 0;
  }

  /** Say a text after a pause in which nothing else is to be said. */
  say(text) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.element.textContent = text;
    }, QUIET_MS);
  }

  close() {
    clearTimeout(this.timer);
    this.element.remove();
  }
}
