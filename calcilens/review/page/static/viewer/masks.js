/** Masks: as the server sends them, as they are painted, and their outline on a plane. */

import { box3 } from "./geometry.js";

/** Bytes of base64 text. */
export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function textOf(bytes) {
  let text = "";
  for (let k = 0; k < bytes.length; k += 8192) {
    text += String.fromCharCode(...bytes.subarray(k, k + 8192));
  }
  return btoa(text);
}

/** A mask that does not change: a box and its bits, packed as numpy.packbits does. */
export class FixedMask {
  constructor({ box, bits }) {
    [this.low, this.high] = box3(box);
    this.bytes = bytesOf(bits);
    this.version = 0;
    const [, rows, cols] = this.high.map((end, k) => end - this.low[k]);
    this.steps = [rows * cols, cols];
  }

  at(z, y, x) {
    const { low, high, steps } = this;
    if (z < low[0] || y < low[1] || x < low[2] || z >= high[0] || y >= high[1] || x >= high[2]) return 0;
    const n = (z - low[0]) * steps[0] + (y - low[1]) * steps[1] + x - low[2];
    return (this.bytes[n >> 3] >> (7 - (n & 7))) & 1;
  }
}

/** A mask that is painted: a plane of bytes for each z with something on it. */
export class PaintedMask {
  constructor([depth, rows, cols]) {
    this.shape = [depth, rows, cols];
    this.planes = new Map();
    this.count = 0;
    this.version = 0;
    this.low = [depth, rows, cols];
    this.high = [0, 0, 0];
  }

  /** A copy of another mask, inside of the image. */
  static of(mask, shape) {
    const copy = new PaintedMask(shape);
    const low = mask.low.map((value) => Math.max(0, value));
    const high = mask.high.map((value, k) => Math.min(shape[k], value));
    for (let z = low[0]; z < high[0]; z += 1) {
      for (let y = low[1]; y < high[1]; y += 1) {
        for (let x = low[2]; x < high[2]; x += 1) if (mask.at(z, y, x)) copy.set(z, y, x, 1);
      }
    }
    return copy;
  }

  at(z, y, x) {
    const plane = this.planes.get(z);
    return plane ? plane[y * this.shape[2] + x] : 0;
  }

  /** @returns {boolean} whether the voxel changed */
  set(z, y, x, value) {
    const [depth, rows, cols] = this.shape;
    if (z < 0 || y < 0 || x < 0 || z >= depth || y >= rows || x >= cols) return false;
    if (this.at(z, y, x) === value) return false;
    if (!this.planes.has(z)) this.planes.set(z, new Uint8Array(rows * cols));
    this.planes.get(z)[y * cols + x] = value;
    this.count += value ? 1 : -1;
    this.version += 1;
    if (value) {
      [z, y, x].forEach((place, k) => {
        this.low[k] = Math.min(this.low[k], place);
        this.high[k] = Math.max(this.high[k], place + 1);
      });
    }
    return true;
  }

  /** The smallest box around all that is painted; null: nothing is. */
  box() {
    if (!this.count) return null;
    const low = [...this.shape];
    const high = [0, 0, 0];
    this.each((...voxel) => voxel.forEach((place, k) => {
      low[k] = Math.min(low[k], place);
      high[k] = Math.max(high[k], place + 1);
    }));
    return [low, high];
  }

  each(visit) {
    const [, rows, cols] = this.shape;
    for (const [z, plane] of this.planes) {
      for (let y = Math.min(this.low[1], rows); y < this.high[1]; y += 1) {
        for (let x = this.low[2]; x < this.high[2]; x += 1) if (plane[y * cols + x]) visit(z, y, x);
      }
    }
  }

  /** As the server takes it: {box, bits}; null: nothing is painted. */
  packed() {
    const box = this.box();
    if (!box) return null;
    const [low, high] = box;
    const [depth, rows, cols] = high.map((end, k) => end - low[k]);
    const bytes = new Uint8Array(Math.ceil((depth * rows * cols) / 8));
    this.each((z, y, x) => {
      const n = ((z - low[0]) * rows + y - low[1]) * cols + x - low[2];
      bytes[n >> 3] |= 128 >> (n & 7);
    });
    return { box, bits: textOf(bytes) };
  }
}

/** Area and outline of a mask on a plane, in columns and rows; null where it has nothing there. */
export function drawn(mask, plane, index) {
  const { through, row, col } = plane;
  if (index < mask.low[through] || index >= mask.high[through]) return null;
  const voxel = [0, 0, 0];
  voxel[through] = index;
  const on = (r, c) => {
    voxel[row] = r;
    voxel[col] = c;
    return r >= 0 && c >= 0 && r < plane.rows && c < plane.cols && Boolean(mask.at(...voxel));
  };
  const area = new Path2D();
  const edge = new Path2D();
  let any = false;
  for (let r = mask.low[row]; r < mask.high[row]; r += 1) {
    for (let c = mask.low[col]; c < mask.high[col]; c += 1) {
      if (!on(r, c)) continue;
      any = true;
      area.rect(c, r, 1, 1);
      if (!on(r - 1, c)) line(edge, c, r, c + 1, r);
      if (!on(r + 1, c)) line(edge, c, r + 1, c + 1, r + 1);
      if (!on(r, c - 1)) line(edge, c, r, c, r + 1);
      if (!on(r, c + 1)) line(edge, c + 1, r, c + 1, r + 1);
    }
  }
  return any ? { area, edge } : null;
}

function line(path, x0, y0, x1, y1) {
  path.moveTo(x0, y0);
  path.lineTo(x1, y1);
}
