/**
 * Where things are. Voxels are [z, y, x], whole numbers at their centres; patient positions are
 * [x, y, z] in mm, LPS; matrices are 4 rows of 4.
 */

/** Array axes of the three planes: the one looked along, the one down and the one across. */
const AXES = {
  axial: { through: 0, row: 1, col: 2 },
  coronal: { through: 1, row: 0, col: 2 },
  sagittal: { through: 2, row: 0, col: 1 },
};
const NAMES = ["Sagittal", "Coronal", "Axial"];
const LETTERS = ["LR", "PA", "HF"];
/** A second letter is written where the direction leans this much towards it (about 20 degrees). */
const LEAN = 0.35;

export function apply(matrix, point) {
  return [0, 1, 2].map((r) => {
    const m = matrix[r];
    return m[0] * point[0] + m[1] * point[1] + m[2] * point[2] + m[3];
  });
}

/** The inverse of an affine matrix (4 x 4, last row 0 0 0 1). */
export function inverse(matrix) {
  const [[a, b, c, p], [d, e, f, q], [g, h, i, r]] = matrix;
  const A = e * i - f * h;
  const B = f * g - d * i;
  const C = d * h - e * g;
  const det = a * A + b * B + c * C;
  const rows = [
    [A, c * h - b * i, b * f - c * e],
    [B, a * i - c * g, c * d - a * f],
    [C, b * g - a * h, a * e - b * d],
  ].map((row) => row.map((value) => value / det));
  const moved = rows.map(([x, y, z]) => [x, y, z, -(x * p + y * q + z * r)]);
  return [...moved, [0, 0, 0, 1]];
}

/** Shape as (Z, Y, X), also of a film. */
export function shapeOf(image) {
  return image.shape.length === 3 ? image.shape : [1, ...image.shape];
}

/** Spacing (z, y, x) in mm; null where the image has no calibrated spacing. */
export function spacingOf(image) {
  if (!image.spacing_mm) return null;
  return image.spacing_mm.length === 3 ? image.spacing_mm : [1, ...image.spacing_mm];
}

/** A box as two points (z, y, x); those of a film may come without z. */
export function box3(box) {
  return box[0].length === 3 ? box : [[0, ...box[0]], [1, ...box[1]]];
}

function direction(affine, axis) {
  const column = [affine[0][axis], affine[1][axis], affine[2][axis]];
  const length = Math.hypot(...column) || 1;
  return column.map((value) => value / length);
}

function dominant(vector) {
  const sizes = vector.map(Math.abs);
  return sizes.indexOf(Math.max(...sizes));
}

/** Letters of a patient direction: L R P A H F, two of them where it is oblique. */
export function letters(vector) {
  return [0, 1, 2]
    .filter((k) => Math.abs(vector[k]) > LEAN)
    .sort((a, b) => Math.abs(vector[b]) - Math.abs(vector[a]))
    .slice(0, 2)
    .map((k) => LETTERS[k][vector[k] > 0 ? 0 : 1])
    .join("");
}

/**
 * A plane of an image: its axes, its size, the mm of a voxel, and which way up it is hung.
 * The acquired planes hang as stored; the others with the head up, the patient's left or back to
 * the right of the screen, as radiologists expect.
 */
export function planeOf(image, key) {
  const { through, row, col } = AXES[key];
  const shape = shapeOf(image);
  const mm = spacingOf(image) ?? [1, 1, 1];
  const { affine } = image;
  const axes = affine ? [0, 1, 2].map((axis) => direction(affine, axis)) : null;
  return {
    key, through, row, col, axes,
    name: axes && image.kind === "volume" ? NAMES[dominant(axes[through])] : "",
    rows: shape[row], cols: shape[col], depth: shape[through],
    rowMm: mm[row], colMm: mm[col], throughMm: mm[through],
    rowSign: axes && key !== "axial" ? hung(axes[row]) : 1,
    colSign: axes && key !== "axial" ? hung(axes[col]) : 1,
  };
}

function hung(vector) {
  const k = dominant(vector);
  const onward = k === 2 ? -vector[k] : vector[k];
  return onward < 0 ? -1 : 1;
}

/** Length of the way from one voxel to another: {mm} or, where not calibrated, {px}. */
export function distance(image, from, to) {
  const mm = spacingOf(image);
  const steps = from.map((value, k) => (to[k] - value) * (mm ? mm[k] : 1));
  return mm ? { mm: Math.hypot(...steps) } : { px: Math.hypot(...steps) };
}

export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** The nearest voxel inside the image. */
export function inside(image, voxel) {
  return shapeOf(image).map((size, k) => clamp(Math.round(voxel[k]), 0, size - 1));
}
