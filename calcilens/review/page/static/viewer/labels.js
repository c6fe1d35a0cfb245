/** Text and marks on a pane: corners, orientation letters, scale bar. */

import { date } from "../words.js";
import { apply, letters } from "./geometry.js";
import { DRAWN, PLANE_COLOURS } from "./palette.js";
import { presetLabel } from "./presets.js";

const LENGTHS = [1, 2, 5, 10, 20, 50, 100, 200];
const TEXT = "#dfe6ee";
const PRIOR = "#f0c674";

/** Size of the text: 12 to 28 CSS pixels, larger on large panes. */
export function textSize(pane) {
  return Math.round(Math.min(28, Math.max(12, pane.height / 70)));
}

export function write(context, text, x, y, colour = TEXT) {
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = "rgba(0, 0, 0, 0.75)";
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

export function drawLabels(context, pane, there) {
  const size = textSize(pane);
  context.font = `${size}px system-ui, "DejaVu Sans", sans-serif`;
  const edge = Math.round(size * 0.75);
  const right = pane.width - edge - (pane.bar ? 14 : 0);
  const low = pane.height - edge;
  corner(context, topLeft(pane), edge, edge, size, "left", "top");
  corner(context, topRight(pane), right, edge, size, "right", "top");
  corner(context, bottomRight(pane), right, low, size, "right", "bottom");
  corner(context, bottomLeft(pane), edge, low, size, "left", "bottom");
  drawLetters(context, pane, size, right);
  if (pane.calibrated) drawScale(context, pane, size);
  if (!there) waiting(context, pane);
}

const NARROW = 620, LINES = 5.4;

function corner(context, lines, x, y, size, align, base) {
  context.textAlign = align;
  context.textBaseline = base;
  const shown = lines.filter((line) => line);
  const step = Math.round(size * 1.35);
  shown.forEach((line, k) => {
    const down = base === "top" ? k * step : (k - shown.length + 1) * step;
    const [text, colour] = Array.isArray(line) ? line : [line];
    write(context, text, x, y + down, colour);
  });
}

function topLeft(pane) {
  const { scene: { image, prior }, plane, viewer } = pane;
  const side = [image.body_part, image.side].filter(Boolean).join(" ");
  const planes = viewer.layout === "planes";
  const name = planes ? [plane.name || plane.key, PLANE_COLOURS[plane.key]] : plane.name;
  return [
    viewer.layout === "prior" && viewer.scenes.prior && [dated(viewer.study, prior), prior ? PRIOR : TEXT],
    image.label, image.kind === "volume" && side, name,
  ];
}

function topRight(pane) {
  const { scene, viewer, view } = pane;
  const { center, width } = scene.window;
  const preset = presetLabel(scene.window, scene.image);
  const grey = scene.inverted ? ", inverted" : "";
  const slab = viewer.mip > 0 && scene.image.kind === "volume";
  return [
    `W ${Math.round(width)}  L ${Math.round(center)}`.replace("-", "−"), preset + (preset ? grey : grey.slice(2)),
    `Zoom ${Math.round(100 * view.zoom)} %`, slab && [`MIP ${viewer.mip} mm`, PRIOR],
    viewer.layout === "prior" && scene.prior && (viewer.linked && viewer.linkable ? "Linked" : ["Not linked", PRIOR]),
  ];
}

/** When a study was made, for the pane of the current or the prior one. */
function dated({ study, prior: before }, prior) {
  if (!prior) return `Current, ${date(study.study_date)}`;
  const days = Number.isFinite(before.days) ? ` (${before.days} days before)` : "";
  return `Prior, ${date(before.study_date)}${days}`;
}

/** The image's own number and its place, as in "Image 143 · 12 of 300". */
function bottomRight(pane) {
  const { scene: { image }, plane, index } = pane;
  if (plane.depth === 1) return [];
  const number = plane.key === "axial" ? image.numbers?.[index] : null;
  const own = Number.isInteger(number) ? `Im ${number} · ` : "";
  return [`${own}${index + 1} / ${plane.depth}`];
}

function bottomLeft(pane) {
  const { scene, hover } = pane;
  const voxel = hover ? pane.voxelAt(...hover).map(Math.round) : null;
  if (!voxel) return [drawingText(pane)];
  const value = scene.pixels.value(voxel);
  if (value === null) return [drawingText(pane)];
  const unit = scene.image.modality === "CT" ? " HU" : "";
  const { affine } = scene.image;
  const place = affine && scene.image.kind === "volume"
    ? `${positionText(apply(affine, voxel))} mm` : `x ${voxel[2]}  y ${voxel[1]} px`;
  return [drawingText(pane), `${value}${unit}`.replace("-", "−"), place];
}

/** Size of what the reader draws here, in voxels. */
function drawingText(pane) {
  const { now } = pane.viewer.draft;
  if (!now || pane.scene.prior || now.image !== pane.scene.image.n) return null;
  if (now.mask) return now.mask.count ? [`Drawn: ${now.mask.count} voxels`, DRAWN] : null;
  const [low, high] = now.box;
  const size = `${high[2] - low[2]} × ${high[1] - low[1]}`;
  const planes = pane.scene.image.kind === "volume" ? `, planes ${low[0] + 1} to ${high[0]}` : "";
  return [`Box: ${size}${planes}`, DRAWN];
}

/** A position in words of the patient: "L 12.0  P 30.5  H 110.0". */
function positionText(position) {
  return position
    .map((mm, k) => `${(mm < 0 ? "RAF" : "LPH")[k]} ${Math.abs(mm).toFixed(1)}`)
    .join("  ");
}

/** What a screen reader says of the place. */
export function placeText(pane) {
  const { scene: { image, prior }, plane, index } = pane;
  const what = [prior ? "Prior" : "", image.label, plane.name].filter(Boolean).join(" ");
  if (plane.depth === 1) return what;
  const number = plane.key === "axial" ? image.numbers?.[index] : null;
  const own = Number.isInteger(number) ? `, image number ${number}` : "";
  return `${what}, ${index + 1} of ${plane.depth}${own}`;
}

function drawLetters(context, pane, size, right) {
  const { axes } = pane.plane;
  if (!axes || pane.scene.image.kind !== "volume") return;
  const [a, b, c, d] = pane.matrix;
  const { plane } = pane;
  // directions on the screen: what of the patient lies to the right, and below
  const mix = (across, down) => axes[plane.col].map((value, k) => {
    const [u, v] = [Math.sign(Math.round(across * 1e6)), Math.sign(Math.round(down * 1e6))];
    return u * value + v * axes[plane.row][k];
  });
  const [toRight, toLow] = [mix(a, c), mix(b, d)];
  const away = (vector) => vector.map((value) => -value);
  context.font = `600 ${size + 2}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const [x, y] = [pane.width / 2, pane.height / 2];
  write(context, letters(away(toRight)), size + 2, y);
  write(context, letters(toRight), right - size / 2, y);
  // in a narrow pane the lines of both corners would run into it
  const top = pane.width < NARROW ? LINES * size : 0;
  write(context, letters(away(toLow)), x, size + 2 + top);
  write(context, letters(toLow), x, pane.height - size - 2);
}

/** A bar of a round length, about a fifth of the pane. */
function drawScale(context, pane, size) {
  const scale = pane.view.scale(pane.plane, pane.width, pane.height);
  const most = pane.width / 4;
  const mm = LENGTHS.filter((length) => length * scale <= most).at(-1);
  if (!mm) return;
  const [x, y] = [pane.width / 2 - (mm * scale) / 2, pane.height - size * 2.6];
  for (const [width, colour] of [[4, "rgba(0, 0, 0, 0.75)"], [1.5, TEXT]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(x, y - 4);
    context.lineTo(x, y);
    context.lineTo(x + mm * scale, y);
    context.lineTo(x + mm * scale, y - 4);
    context.stroke();
  }
  context.font = `${size - 1}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  write(context, mm < 10 ? `${mm} mm` : `${mm / 10} cm`, pane.width / 2, y - 5);
}

function waiting(context, pane) {
  const { error } = pane.scene.pixels;
  context.font = `${textSize(pane) + 2}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const text = error ? `Could not be loaded: ${error.message}` : "Loading…";
  write(context, text, pane.width / 2, pane.height / 2 + 30, error ? "#ffb0a0" : TEXT);
}
