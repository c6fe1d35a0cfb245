/** How a plane lies on the screen: zoom, shift, turn and flip. */

const MARGIN = 0.97;
const LEAST = 0.2;
const MOST = 60;

export class View {
  constructor() {
    this.reset();
  }

  reset() {
    this.zoom = 1;
    /** Shift in CSS pixels. */
    this.pan = [0, 0];
    /** Turns and flips so far: a 2 x 2 matrix by rows, applied to what hangs upright. */
    this.turned = [1, 0, 0, 1];
  }

  /** Turn what is seen by a quarter, clockwise for 1, anticlockwise for -1. */
  turn(way) {
    this.follow([0, -way, way, 0]);
  }

  flip(horizontally) {
    this.follow(horizontally ? [-1, 0, 0, 1] : [1, 0, 0, -1]);
  }

  follow([a, b, c, d]) {
    const [p, q, r, s] = this.turned;
    this.turned = [a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s];
    const [x, y] = this.pan;
    this.pan = [a * x + b * y, c * x + d * y];
  }

  /** CSS pixels a mm (or a pixel where not calibrated). */
  scale(plane, width, height) {
    const size = [plane.cols * plane.colMm, plane.rows * plane.rowMm];
    const [across, down] = this.turned[0] === 0 ? [size[1], size[0]] : size;
    return MARGIN * Math.min(width / across, height / down) * this.zoom;
  }

  /** The matrix [a, b, c, d, e, f] of canvas: plane (columns, rows from its edge) -> CSS pixels. */
  matrix(plane, width, height) {
    const scale = this.scale(plane, width, height);
    const [p, q, r, s] = this.turned;
    const across = scale * plane.colMm * plane.colSign;
    const down = scale * plane.rowMm * plane.rowSign;
    const [a, b, c, d] = [p * across, r * across, q * down, s * down];
    const [u, v] = [plane.cols / 2, plane.rows / 2];
    const e = width / 2 + this.pan[0] - a * u - c * v;
    const f = height / 2 + this.pan[1] - b * u - d * v;
    return [a, b, c, d, e, f];
  }

  /** Zoom so that what lies at a place of the pane stays there. */
  zoomAt(factor, [x, y], width, height) {
    const zoom = Math.min(MOST, Math.max(LEAST, this.zoom * factor));
    const by = zoom / this.zoom;
    const [dx, dy] = [x - width / 2, y - height / 2];
    this.pan = [dx - by * (dx - this.pan[0]), dy - by * (dy - this.pan[1])];
    this.zoom = zoom;
  }
}

/** Where a matrix takes a point. */
export function through([a, b, c, d, e, f], [u, v]) {
  return [a * u + c * v + e, b * u + d * v + f];
}

/** From where a matrix takes to a point. */
export function back([a, b, c, d, e, f], [x, y]) {
  const det = a * d - b * c;
  return [(d * (x - e) - c * (y - f)) / det, (a * (y - f) - b * (x - e)) / det];
}
