/** Boxes and masks that readers drew for the lesion in hand; masks are fetched by their name. */

import { FixedMask } from "./masks.js";
import { DRAWN } from "./palette.js";

const COLOURS = [DRAWN, "#ffffff"];

/** @typedef {{image: number, box: number[][]|null, mask: string|null, name: string}} Outline */

export class Outlines {
  /**
   * @param source {drawn(sha256)}
   * @param {(fault?: Error) => void} changed
   */
  constructor(source, changed) {
    this.source = source;
    this.changed = changed;
    this.forget();
  }

  forget() {
    this.all = [];
    this.masks = new Map();
  }

  /** @param {Outline[]} outlines to show from now on */
  set(outlines) {
    if (JSON.stringify(outlines) === JSON.stringify(this.all)) return;
    this.all = outlines;
    outlines.forEach(({ mask }) => mask && this.fetch(mask));
    this.changed();
  }

  async fetch(name) {
    const { masks } = this;
    if (masks.has(name)) return;
    masks.set(name, null);
    try {
      masks.set(name, new FixedMask(await this.source.drawn(name)));
      this.changed();
    } catch (error) {
      masks.delete(name);
      this.changed(error);
    }
  }

  /** Those of an image, each with its colour and its mask, where that has come. */
  of(image) {
    return this.all
      .map((one, k) => ({ ...one, colour: COLOURS[k % COLOURS.length], fixed: this.masks.get(one.mask) }))
      .filter((one) => one.image === image);
  }
}
