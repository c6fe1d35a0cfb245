/** A straight line between two places of a plane. */

import { distance } from "../geometry.js";

const SHORTEST = 4;

export function measuring(viewer, pane, x0, y0) {
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
