/** Saliency of a lesion: one plane (y, x) of values that holds for every plane of its box. */

import { box3 } from "./geometry.js";
import { bytesOf } from "./masks.js";
import { heat } from "./palette.js";

export class Saliency {
  constructor({ box, values }) {
    [this.low, this.high] = box3(box);
    this.values = bytesOf(values);
    this.cols = this.high[2] - this.low[2];
    this.pictures = new Map();
  }

  /** From 0 to 1. */
  at(y, x) {
    return this.values[(y - this.low[1]) * this.cols + x - this.low[2]] / 255;
  }
}

/** The map on a plane as a picture, stronger values more opaque; null where it has none there. */
export function heatPicture(saliency, plane, index) {
  const { low, high } = saliency;
  if (index < low[plane.through] || index >= high[plane.through]) return null;
  const key = plane.key === "axial" ? "axial" : `${plane.key}|${index}`;
  if (saliency.pictures.get(plane.key)?.key !== key) {
    saliency.pictures.set(plane.key, { key, picture: pictureOf(saliency, plane, index) });
  }
  return { picture: saliency.pictures.get(plane.key).picture, low, high };
}

function pictureOf(saliency, plane, index) {
  const { low, high } = saliency;
  const [rows, cols] = [high[plane.row] - low[plane.row], high[plane.col] - low[plane.col]];
  const canvas = new OffscreenCanvas(cols, rows);
  const context = canvas.getContext("2d");
  const picture = context.createImageData(cols, rows);
  const voxel = [0, 0, 0];
  voxel[plane.through] = index;
  for (let r = 0; r < rows; r += 1) {
    for (let c = 0; c < cols; c += 1) {
      voxel[plane.row] = low[plane.row] + r;
      voxel[plane.col] = low[plane.col] + c;
      const value = saliency.at(voxel[1], voxel[2]);
      picture.data.set([...heat(value), Math.round(255 * value)], 4 * (r * cols + c));
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}
