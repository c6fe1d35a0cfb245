/** The picture of a plane under a window, made anew only when something of it changed. */

import { paint } from "./lut.js";
import { valuesOf } from "./plane.js";

/** A drag on a film looks at no more pixels than this. */
const QUICK_PIXELS = 1.5e6;

export class Raster {
  constructor() {
    this.canvas = new OffscreenCanvas(1, 1);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.made = "";
  }

  /** The picture of a plane; null where nothing of it has come. `scale`: screen pixels a pixel. */
  of(scene, plane, index, thickness, scale) {
    return scene.image.kind === "film"
      ? this.film(scene, scale) : this.volume(scene, plane, index, thickness);
  }

  film(scene, scale) {
    const { pixels } = scene;
    let level = pixels.levelFor(scale);
    pixels.need(level);
    const size = (k) => pixels.levels[k][0] * pixels.levels[k][1];
    if (scene.quick) while (size(level) > QUICK_PIXELS && pixels.data[level + 1]) level += 1;
    const best = pixels.best(level);
    if (best === null) return null;
    const [rows, cols] = pixels.levels[best];
    const { table } = scene;
    return this.make(`f|${best}|${scene.tableVersion}`, cols, rows, () => {
      paint(this.pixels, pixels.data[best], 0, table);
    });
  }

  volume(scene, plane, index, thickness) {
    const { pixels, table } = scene;
    const single = plane.key === "axial" && !thickness;
    if (!pixels.data || (single && !pixels.has(index)) || !pixels.here) return null;
    const version = single ? "" : pixels.version;
    const key = [plane.key, index, thickness, version, scene.tableVersion].join("|");
    return this.make(key, plane.cols, plane.rows, () => {
      const { values, offset } = valuesOf(pixels, plane, index, thickness, this.scratch);
      if (values !== pixels.data) this.scratch = values;
      paint(this.pixels, values, offset, table);
    });
  }

  make(key, cols, rows, fill) {
    if (this.made === key) return this.canvas;
    if (this.canvas.width !== cols || this.canvas.height !== rows || !this.picture) {
      this.canvas.width = cols;
      this.canvas.height = rows;
      this.picture = this.context.createImageData(cols, rows);
      this.pixels = new Uint32Array(this.picture.data.buffer);
    }
    fill();
    this.context.putImageData(this.picture, 0, 0);
    this.made = key;
    return this.canvas;
  }
}
