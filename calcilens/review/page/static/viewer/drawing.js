/** What the reader draws on an image: one box or one mask, undone step by step. */

import { box3, shapeOf } from "./geometry.js";
import { FixedMask, PaintedMask } from "./masks.js";

export class Drawing {
  /**
   * @param history {History}
   * @param {() => void} changed
   */
  constructor(history, changed) {
    this.history = history;
    this.changed = changed;
    /** null, {image, box} or {image, mask} */
    this.now = null;
  }

  /** In the form that the page sends: null, {image, box} or {image, box, bits}. */
  get result() {
    if (!this.now) return null;
    const { image, box, mask } = this.now;
    if (box) return { image, box: box.map((point) => [...point]) };
    const packed = mask.packed();
    return packed && { image, ...packed };
  }

  forget() {
    this.now = null;
  }

  /** Put another drawing in the place of the present one, as one step. */
  replace(next) {
    const before = this.now;
    this.set(next);
    this.history.push(() => this.set(before), () => this.set(next));
  }

  /** Start from a mask {box, bits} or a box that is there. */
  edit(given, image) {
    const box = Array.isArray(given) ? given : !given.bits && given.box;
    if (box) this.replace({ image: image.n, box: box3(box).map((point) => [...point]) });
    else this.replace({ image: image.n, mask: PaintedMask.of(new FixedMask(given), shapeOf(image)) });
  }

  /** The mask of an image to paint on; a new one in the place of anything else. */
  maskFor(image) {
    if (!this.now?.mask || this.now.image !== image.n) {
      this.replace({ image: image.n, mask: new PaintedMask(shapeOf(image)) });
    }
    return this.now.mask;
  }

  /** The box of an image; null: there is none. */
  boxOf(image) {
    return this.now?.box && this.now.image === image.n ? this.now.box : null;
  }

  /** Keep a stroke: the voxels of a mask that became `value`. */
  keepStroke(mask, voxels, value) {
    if (!voxels.length) return;
    const paint = (to) => {
      voxels.forEach((voxel) => mask.set(...voxel, to));
      this.changed();
    };
    this.history.push(() => paint(1 - value), () => paint(value));
    this.changed();
  }

  set(next) {
    this.now = next;
    this.changed();
  }
}
