/** Painting and rubbing out with a round brush on the plane that is seen. */

export function brushing(value) {
  return (viewer, pane, x0, y0) => {
    const { draft } = viewer;
    if (!value && !draft.now?.mask) return null;
    const mask = draft.maskFor(pane.scene.image);
    const voxels = [];
    let last = pane.planeAt(x0, y0);
    const to = (x, y) => {
      const next = pane.planeAt(x, y);
      for (const place of between(last, next)) dab(pane, mask, place, viewer.radius, value, voxels);
      last = next;
      viewer.invalidate();
    };
    to(x0, y0);
    return {
      move: to,
      end: () => draft.keepStroke(mask, voxels, value),
      cancel: () => voxels.forEach((voxel) => mask.set(...voxel, 1 - value)),
    };
  };
}

/** Places from one to another, not more than half a voxel apart, both included. */
function between(from, to) {
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
  return Array.from({ length: steps + 1 }, (_, k) => [
    from[0] + ((to[0] - from[0]) * k) / steps, from[1] + ((to[1] - from[1]) * k) / steps,
  ]);
}

/**
 * Paint the voxels whose centres lie within the radius (mm; px where not calibrated) of a place,
 * and the one that it lies in. Voxels that changed are added to `voxels`.
 */
function dab(pane, mask, [u, v], radius, value, voxels) {
  const { plane, index } = pane;
  const [across, down] = [radius / plane.colMm, radius / plane.rowMm];
  const voxel = [0, 0, 0];
  voxel[plane.through] = index;
  for (let r = Math.floor(v - down); r <= v + down; r += 1) {
    for (let c = Math.floor(u - across); c <= u + across; c += 1) {
      const far = Math.hypot((c + 0.5 - u) * plane.colMm, (r + 0.5 - v) * plane.rowMm);
      if (far > radius && !(r === Math.floor(v) && c === Math.floor(u))) continue;
      voxel[plane.row] = r;
      voxel[plane.col] = c;
      if (mask.set(...voxel, value)) voxels.push([...voxel]);
    }
  }
}
