/** The lesions of a study with their masks and saliency, fetched when they are to be shown. */

import { box3 } from "./geometry.js";
import { FixedMask } from "./masks.js";
import { Saliency } from "./saliency.js";

export class LesionOverlays {
  /**
   * @param source {mask(lesion), saliency(lesion)}
   * @param shown {masks, saliency}
   * @param {(fault?: Error) => void} changed
   */
  constructor(source, shown, changed) {
    this.source = source;
    this.shown = shown;
    this.changed = changed;
    this.forget();
  }

  forget() {
    this.all = [];
    this.masks = new Map();
    this.saliencies = new Map();
    this.asked = new Set();
  }

  get(id) {
    return this.all.find((lesion) => lesion.id === id);
  }

  /** Take the lesions of a study; what has been fetched stays where the study is the same. */
  update(lesions, same) {
    if (!same) this.forget();
    this.all = lesions;
    this.fetch();
  }

  /** Those that the plane of a pane goes through. */
  on(pane) {
    const { through } = pane.plane;
    return this.all.filter(({ image, box }) => {
      const [low, high] = box3(box);
      return image === pane.scene.image.n && pane.index >= low[through] && pane.index < high[through];
    });
  }

  /** Fetch what is to be shown and has not been asked for. */
  fetch() {
    const { shown } = this;
    for (const lesion of this.all) {
      if (shown.masks && lesion.mask) this.ask("mask", lesion, this.masks, FixedMask);
      if (shown.saliency && lesion.saliency) this.ask("saliency", lesion, this.saliencies, Saliency);
    }
  }

  async ask(kind, lesion, into, Made) {
    const key = `${kind}|${lesion.id}`;
    if (this.asked.has(key)) return;
    const { asked } = this;
    asked.add(key);
    try {
      const made = new Made(await this.source[kind](lesion));
      if (asked === this.asked) into.set(lesion.id, made);
    } catch (error) {
      asked.delete(key);
      this.changed(error);
      return;
    }
    this.changed();
  }
}

/** The middle of a lesion, on its key plane. */
export function middle({ box, key_plane: plane }) {
  const [low, high] = box3(box);
  const point = low.map((value, k) => Math.floor((value + high[k] - 1) / 2));
  if (Number.isInteger(plane)) point[0] = plane;
  return point;
}

/** Whether a voxel lies in the box as it is seen on a pane, or a voxel beside it. */
export function within(box, voxel, pane) {
  const [low, high] = box3(box);
  return [pane.plane.row, pane.plane.col].every((axis) => (
    voxel[axis] >= low[axis] - 1 && voxel[axis] <= high[axis]
  ));
}
