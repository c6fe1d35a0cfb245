/** Boxes in voxels: drawn on a plane, moved by their edges, spread over several planes. */

import { clamp, shapeOf } from "../geometry.js";

const NEAR = 7;

/** `pulls`: whether a drag that begins at an edge of the box moves that edge. */
export function boxing(viewer, pane, x0, y0, pulls = true) {
  const { draft } = viewer;
  const { image } = pane.scene;
  const before = draft.now;
  const grip = pulls && gripAt(pane, draft.boxOf(image), x0, y0);
  const start = pane.planeAt(x0, y0);
  let box = null;
  return {
    move: (x, y) => {
      const end = pane.planeAt(x, y);
      box = grip ? pulled(pane, draft.boxOf(image), grip, end) : spanned(viewer, pane, start, end, before);
      draft.now = { image: image.n, box };
      pane.viewer.invalidate();
    },
    end: () => {
      draft.now = before;
      if (box) draft.replace({ image: image.n, box });
    },
    cancel: () => {
      draft.now = before;
    },
  };
}

/** All voxels that a drag from one place of the plane to another touches. */
function spanned(viewer, pane, start, end, before) {
  const { plane } = pane;
  const sizes = shapeOf(pane.scene.image);
  const [low, high] = rangeOf(pane, before);
  [plane.col, plane.row].forEach((axis, k) => {
    low[axis] = clamp(Math.floor(Math.min(start[k], end[k])), 0, sizes[axis] - 1);
    high[axis] = clamp(Math.floor(Math.max(start[k], end[k])) + 1, low[axis] + 1, sizes[axis]);
  });
  return [low, high];
}

/** Planes of the box before where it has this one; else this plane alone. */
function rangeOf(pane, before) {
  const { plane, index } = pane;
  const old = before?.box && before.image === pane.scene.image.n ? before.box : null;
  const low = [0, 0, 0];
  const high = [0, 0, 0];
  const has = old && index >= old[0][plane.through] && index < old[1][plane.through];
  low[plane.through] = has ? old[0][plane.through] : index;
  high[plane.through] = has ? old[1][plane.through] : index + 1;
  return [low, high];
}

/** Which edges of a box are at a place of the pane: [[axis, 0 low | 1 high], ...] or null. */
export function gripAt(pane, box, x, y) {
  const { plane, index } = pane;
  if (!box || index < box[0][plane.through] || index >= box[1][plane.through]) return null;
  const corners = [0, 1].map((k) => pane.toScreen([box[k][plane.col], box[k][plane.row]]));
  const axes = pane.turnedSideways ? [plane.row, plane.col] : [plane.col, plane.row];
  const found = [];
  [x, y].forEach((place, k) => {
    const [from, to] = [corners[0][k], corners[1][k]];
    const other = [x, y][1 - k];
    const [low, high] = [corners[0][1 - k], corners[1][1 - k]].sort((a, b) => a - b);
    if (other < low - NEAR || other > high + NEAR) return;
    if (Math.abs(place - from) < NEAR) found.push([axes[k], 0]);
    else if (Math.abs(place - to) < NEAR) found.push([axes[k], 1]);
  });
  return found.length ? found : null;
}

function pulled(pane, box, grip, end) {
  const sizes = shapeOf(pane.scene.image);
  const next = box.map((point) => [...point]);
  for (const [axis, side] of grip) {
    const place = Math.round(axis === pane.plane.col ? end[0] : end[1]);
    if (side) next[1][axis] = clamp(place, next[0][axis] + 1, sizes[axis]);
    else next[0][axis] = clamp(place, 0, next[1][axis] - 1);
  }
  return next;
}

/** Let the box begin (side 0) or end (side 1) with the plane that is seen. */
export function limit(viewer, pane, side) {
  const { draft } = viewer;
  const box = draft.boxOf(pane.scene.image);
  if (!box) return false;
  const axis = pane.plane.through;
  const next = box.map((point) => [...point]);
  next[side][axis] = pane.index + side;
  if (side) next[0][axis] = Math.min(next[0][axis], pane.index);
  else next[1][axis] = Math.max(next[1][axis], pane.index + 1);
  draft.replace({ image: pane.scene.image.n, box: next });
  return true;
}
