/** A CT: one array for all planes, fetched around the plane that is looked at. */

import { clamp } from "./geometry.js";

const ABSENT = 0;
const ASKED = 1;
const HERE = 2;
/** Shows black under every window until the plane has come. */
export const NOTHING = -32768;
const REQUEST_BYTES = 4 * 2 ** 20;
const AT_ONCE = 3;
const TRIES = 4;
const PAUSE_MS = 500;

export class Volume {
  /**
   * @param image description of the image
   * @param {(z: number, count: number, signal: AbortSignal) => Promise<ArrayBuffer>} fetchPlanes
   * @param {() => void} changed called when planes have come or could not be had
   */
  constructor(image, fetchPlanes, changed) {
    const [depth, rows, cols] = image.shape;
    this.signed = image.dtype !== "uint16";
    this.shape = image.shape;
    this.size = rows * cols;
    this.bytes = depth * this.size * 2;
    this.data = new (this.signed ? Int16Array : Uint16Array)(depth * this.size);
    if (this.signed) this.data.fill(NOTHING);
    this.state = new Uint8Array(depth);
    this.here = 0;
    /** Grows when planes come: pictures made before are stale. */
    this.version = 0;
    this.error = null;
    this.failures = 0;
    this.running = 0;
    this.wanted = 0;
    this.most = clamp(Math.floor(REQUEST_BYTES / (this.size * 2)), 1, 16);
    this.aborter = new AbortController();
    this.fetchPlanes = fetchPlanes;
    this.changed = changed;
  }

  get progress() {
    return this.here / this.state.length;
  }

  has(z) {
    return this.state[z] === HERE;
  }

  /** Value of a voxel; null where it is outside or has not come. */
  value([z, y, x]) {
    const [depth, rows, cols] = this.shape;
    if (z < 0 || y < 0 || x < 0 || z >= depth || y >= rows || x >= cols) return null;
    return this.data && this.has(z) ? this.data[z * this.size + y * cols + x] : null;
  }

  /** Fetch all planes, those around `z` first. */
  want(z) {
    this.wanted = clamp(z, 0, this.state.length - 1);
    if (this.error && !this.has(this.wanted)) {
      this.error = null;
      this.failures = 0;
    }
    this.pump();
  }

  release() {
    this.aborter.abort();
    this.data = null;
  }

  pump() {
    while (this.data && !this.error && this.running < AT_ONCE) {
      const next = this.next();
      if (!next) return;
      this.fetch(...next);
    }
  }

  /** The next planes to ask for, [first, count]: the wanted one alone, then runs around it. */
  next() {
    const { state, wanted } = this;
    if (state[wanted] === ABSENT) return [wanted, 1];
    if (state[wanted] === ASKED) return null;
    for (let d = 1; d < state.length; d += 1) {
      if (state[wanted + d] === ABSENT) return this.run(wanted + d, 1);
      if (state[wanted - d] === ABSENT) return this.run(wanted - d, -1);
    }
    return null;
  }

  run(z, step) {
    let end = z;
    while (Math.abs(end - z) + 1 < this.most && this.state[end + step] === ABSENT) end += step;
    return [Math.min(z, end), Math.abs(end - z) + 1];
  }

  async fetch(z, count) {
    this.state.fill(ASKED, z, z + count);
    this.running += 1;
    try {
      this.take(z, count, await this.fetchPlanes(z, count, this.aborter.signal));
    } catch (error) {
      await this.failed(z, count, error);
    }
    this.running -= 1;
    if (!this.data) return;
    this.changed();
    this.pump();
  }

  take(z, count, buffer) {
    if (!this.data) return;
    const expected = count * this.size * 2;
    if (buffer.byteLength !== expected) {
      throw new Error(`planes ${z} to ${z + count - 1}: ${buffer.byteLength} of ${expected} bytes`);
    }
    this.data.set(new this.data.constructor(buffer), z * this.size);
    this.state.fill(HERE, z, z + count);
    this.here += count;
    this.version += 1;
    this.failures = 0;
  }

  async failed(z, count, error) {
    this.failures += 1;
    if (this.data && this.failures < TRIES) {
      await new Promise((done) => setTimeout(done, PAUSE_MS * 2 ** this.failures));
    } else {
      this.error = error;
    }
    this.state.fill(ABSENT, z, z + count);
  }
}
