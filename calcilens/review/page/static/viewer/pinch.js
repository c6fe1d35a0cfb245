/** Two fingers on a pane: their distance zooms, their middle moves the image. */

const NEAREST_PX = 10;

export class Pinch {
  /** @param pane {view, width, height} */
  constructor(pane) {
    this.pane = pane;
    this.at = new Map();
  }

  /** @returns {boolean} whether two fingers are down now */
  down(finger, place) {
    this.at.set(finger, place);
    return this.at.size === 2;
  }

  /** @returns {boolean} whether two fingers moved the image */
  move(finger, place) {
    if (!this.at.has(finger)) return false;
    const before = this.span();
    this.at.set(finger, place);
    if (this.at.size !== 2) return false;
    const { pane: { view, width, height } } = this;
    const after = this.span();
    view.zoomAt(after.length / before.length, before.middle, width, height);
    view.pan = view.pan.map((value, k) => value + after.middle[k] - before.middle[k]);
    return true;
  }

  up(finger) {
    this.at.delete(finger);
  }

  span() {
    const [[x0, y0], [x1, y1] = [x0, y0]] = [...this.at.values()];
    return { length: Math.max(NEAREST_PX, Math.hypot(x1 - x0, y1 - y0)), middle: [(x0 + x1) / 2, (y0 + y1) / 2] };
  }
}
