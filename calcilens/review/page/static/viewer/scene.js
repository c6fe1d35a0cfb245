/** An image that is shown, and how: its pixels, the place looked at, its window and its views. */

import { inside, planeOf, shapeOf } from "./geometry.js";
import { LEVELS, fillTable } from "./lut.js";
import { View } from "./view.js";

export class Scene {
  /** @param pixels {Volume|Film} */
  constructor(image, prior, pixels, changed) {
    this.image = image;
    this.prior = prior;
    this.pixels = pixels;
    this.changed = changed;
    /** The cross-hair: a voxel (z, y, x). */
    this.point = inside(image, shapeOf(image).map((size) => size / 2));
    this.window = { ...image.window };
    this.inverted = false;
    /** Whether a drag is on, so that a coarser level of a film will do. */
    this.quick = false;
    this.planes = {};
    this.views = {};
    this.colours = new Uint32Array(LEVELS);
    this.tableVersion = 0;
    this.stale = true;
  }

  plane(key) {
    this.planes[key] ??= planeOf(this.image, key);
    return this.planes[key];
  }

  view(key) {
    this.views[key] ??= new View();
    return this.views[key];
  }

  setWindow(center, width) {
    this.window = { center, width: Math.max(1, width) };
    this.stale = true;
    this.changed();
  }

  invert() {
    this.inverted = !this.inverted;
    this.stale = true;
    this.changed();
  }

  /** Greys of all values under the present window. */
  get table() {
    if (this.stale) {
      const how = { inverted: this.inverted, signed: this.pixels.signed };
      fillTable(this.colours, this.window, how);
      this.tableVersion += 1;
      this.stale = false;
    }
    return this.colours;
  }
}
