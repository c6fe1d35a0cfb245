/** A radiograph: the coarsest level comes first, finer ones as they are needed. */

import { shapeOf } from "./geometry.js";

const TRIES = 4;
const PAUSE_MS = 500;

export class Film {
  /**
   * @param image description of the image
   * @param {(level: number, signal: AbortSignal) => Promise<ArrayBuffer>} fetchLevel
   * @param {() => void} changed called when a level has come or could not be had
   */
  constructor(image, fetchLevel, changed) {
    this.signed = image.dtype === "int16";
    this.shape = shapeOf(image);
    this.levels = image.levels?.length ? image.levels : [image.shape.slice(-2)];
    this.bytes = this.levels.reduce((sum, [rows, cols]) => sum + rows * cols * 2, 0);
    this.data = this.levels.map(() => null);
    this.asked = new Set();
    this.version = 0;
    this.error = null;
    this.aborter = new AbortController();
    this.fetchLevel = fetchLevel;
    this.changed = changed;
    this.finest = this.levels.length - 1;
  }

  /** Share of the levels asked for that have come. */
  get progress() {
    const come = [...this.asked].filter((level) => this.data?.[level]).length;
    return this.asked.size ? come / this.asked.size : 0;
  }

  has() {
    return this.best(0) !== null;
  }

  /** Value at a place; null outside or where only coarser levels, which are averages, have come. */
  value([, y, x]) {
    const [rows, cols] = this.levels[0];
    if (y < 0 || x < 0 || y >= rows || x >= cols) return null;
    return this.data?.[0] ? this.data[0][y * cols + x] : null;
  }

  /** Fetch the coarsest level and then all down to the finest wanted so far. */
  want() {
    this.ask(this.levels.length - 1);
  }

  /** Level for a scale: screen pixels a film pixel. */
  levelFor(scale) {
    let level = 0;
    while (level + 1 < this.levels.length && this.levels[level + 1][1] >= scale * this.levels[0][1]) {
      level += 1;
    }
    return level;
  }

  /** The nearest level there is: the one named, else a finer, else a coarser one; null: none. */
  best(level) {
    if (!this.data) return null;
    for (let k = level; k >= 0; k -= 1) if (this.data[k]) return k;
    for (let k = level; k < this.data.length; k += 1) if (this.data[k]) return k;
    return null;
  }

  /** Ask for a level, once the coarsest has come. */
  need(level) {
    if (this.data?.[this.levels.length - 1] && !this.error) this.ask(level);
  }

  release() {
    this.aborter.abort();
    this.data = null;
  }

  async ask(level) {
    if (this.asked.has(level) || !this.data) return;
    this.asked.add(level);
    for (let attempt = 1; this.data; attempt += 1) {
      try {
        this.take(level, await this.fetchLevel(level, this.aborter.signal));
        break;
      } catch (error) {
        if (attempt === TRIES) {
          this.error = error;
          break;
        }
        await new Promise((done) => setTimeout(done, PAUSE_MS * 2 ** attempt));
      }
    }
    if (this.data) this.changed();
  }

  take(level, buffer) {
    if (!this.data) return;
    const [rows, cols] = this.levels[level];
    if (buffer.byteLength !== rows * cols * 2) {
      throw new Error(`level ${level}: ${buffer.byteLength} of ${rows * cols * 2} bytes`);
    }
    this.data[level] = new (this.signed ? Int16Array : Uint16Array)(buffer);
    this.version += 1;
  }
}
