/** A straight line between two places of a plane. */

import { distance } from "../geometry.js";

const SHORTEST = 4;
const REACH_PX = 9;

/** Measure from here; at an end of a line that is there, move that end. */
export function measuring(viewer, pane, x0, y0) {
  const held = endAt(pane, x0, y0);
  if (held) return moving(viewer, pane, held);
  const from = pane.voxelAt(x0, y0);
  const line = {
    image: pane.scene.image.n, prior: pane.scene.prior, through: pane.plane.through, from, to: from,
  };
  viewer.measurements.push(line);
  let length = 0;
  return {
    move: (x, y) => {
      line.to = pane.voxelAt(x, y);
      length = Math.hypot(x - x0, y - y0);
      pane.invalidate();
    },
    end: () => {
      remove(viewer, line);
      if (length >= SHORTEST) keep(viewer, line);
    },
    cancel: () => remove(viewer, line),
  };
}

/** The end of a line at a place on the screen, {line, end}; undefined: there is none. */
function endAt(pane, x, y) {
  const near = (point) => {
    const [px, py] = pane.screenOf(point);
    return Math.hypot(px - x, py - y) <= REACH_PX;
  };
  return measurementsOn(pane)
    .flatMap((line) => [{ line, end: "to" }, { line, end: "from" }])
    .find(({ line, end }) => near(line[end]));
}

function moving(viewer, pane, { line, end }) {
  const before = line[end];
  const put = (voxel) => {
    line[end] = voxel;
    viewer.measured();
  };
  return {
    move: (x, y) => put(pane.voxelAt(x, y)),
    end: () => {
      const after = line[end];
      if (after !== before) viewer.history.push(() => put(before), () => put(after));
    },
    cancel: () => put(before),
  };
}

/** Add a measurement as one step. */
export function keep(viewer, line) {
  const add = () => {
    viewer.measurements.push(line);
    viewer.measured();
  };
  add();
  viewer.history.push(() => remove(viewer, line), add);
}

/** Take the last measurement away as one step. */
export function removeLast(viewer) {
  const line = viewer.measurements.at(-1);
  if (!line) return;
  remove(viewer, line);
  viewer.history.push(() => {
    viewer.measurements.push(line);
    viewer.measured();
  }, () => remove(viewer, line));
}

export function lengthText(image, line) {
  const { mm, px } = distance(image, line.from, line.to);
  return mm === undefined ? `${px.toFixed(1)} px` : `${mm.toFixed(1)} mm`;
}

/** The measurements that lie on the plane of a pane. */
export function measurementsOn({ viewer, scene, plane, index }) {
  return viewer.measurements.filter((line) => (
    line.image === scene.image.n && line.prior === scene.prior
    && line.through === plane.through && Math.round(line.from[plane.through]) === index
  ));
}

function remove(viewer, line) {
  viewer.measurements = viewer.measurements.filter((other) => other !== line);
  viewer.measured();
}
