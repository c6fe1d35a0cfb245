/** Planes of a volume, and the maximum over a slab of them. */

/** First and last plane whose centres lie within half the thickness (mm) of plane `index`. */
export function slab(plane, index, thickness) {
  const half = Math.floor(thickness / 2 / plane.throughMm + 1e-6);
  return [Math.max(0, index - half), Math.min(plane.depth - 1, index + half)];
}

/**
 * Values of a plane: where they lie in an array, without copying where that can be.
 * @returns {{values: Int16Array|Uint16Array, offset: number}}
 */
export function valuesOf(volume, plane, index, thickness, scratch) {
  const [first, last] = slab(plane, index, thickness);
  if (plane.key === "axial" && first === last) {
    return { values: volume.data, offset: first * volume.size };
  }
  const out = scratch?.length === plane.rows * plane.cols
    ? scratch : new volume.data.constructor(plane.rows * plane.cols);
  copy(volume, plane, first, out);
  for (let k = first + 1; k <= last; k += 1) raise(volume, plane, k, out);
  return { values: out, offset: 0 };
}

/** Steps in the array: across, down and through. */
function strides(volume, plane) {
  const steps = [volume.size, volume.shape[2], 1];
  return [steps[plane.col], steps[plane.row], steps[plane.through]];
}

function copy(volume, plane, k, out) {
  const { data } = volume;
  const { rows, cols } = plane;
  const [across, down, through] = strides(volume, plane);
  let n = 0;
  for (let r = 0; r < rows; r += 1) {
    let at = k * through + r * down;
    for (let c = 0; c < cols; c += 1, at += across) {
      out[n] = data[at];
      n += 1;
    }
  }
}

function raise(volume, plane, k, out) {
  const { data } = volume;
  const { rows, cols } = plane;
  const [across, down, through] = strides(volume, plane);
  let n = 0;
  for (let r = 0; r < rows; r += 1) {
    let at = k * through + r * down;
    for (let c = 0; c < cols; c += 1, at += across) {
      if (data[at] > out[n]) out[n] = data[at];
      n += 1;
    }
  }
}
