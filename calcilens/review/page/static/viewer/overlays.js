/** What is drawn over an image: lesions, saliency, the reader's drawing, measurements, cross-hair. */

import { box3 } from "./geometry.js";
import { textSize, write } from "./labels.js";
import { drawLegend } from "./legend.js";
import { drawn } from "./masks.js";
import { DRAWN, PLANE_COLOURS, badge, mark } from "./palette.js";
import { heatPicture } from "./saliency.js";
import { gripAt } from "./tools/box.js";
import { lengthText, measurementsOn } from "./tools/measure.js";

const DARK = "rgba(0, 0, 0, 0.7)";

export function drawOverlays(context, pane) {
  const { viewer, scene } = pane;
  if (!scene.prior) {
    const lesions = viewer.lesionsOn(pane);
    if (viewer.shown.saliency) {
      lesions.forEach((lesion) => drawHeat(context, pane, lesion));
      if (lesions.some(({ id }) => viewer.lesions.saliencies.has(id))) drawLegend(context, pane);
    }
    if (viewer.shown.masks) lesions.forEach((lesion) => drawMask(context, pane, lesion));
    if (viewer.shown.boxes) lesions.forEach((lesion) => drawLesion(context, pane, lesion));
    if (viewer.shown.boxes || viewer.shown.masks) drawOutlines(context, pane);
    drawDrawing(context, pane);
  }
  measurementsOn(pane).forEach((line) => drawMeasurement(context, pane, line));
  if (viewer.layout === "planes") drawLines(context, pane);
  else if (viewer.crossed) drawCross(context, pane);
  drawBrush(context, pane);
}

/** Left, top, width and height on the screen of a box in voxels. */
export function screenBox(pane, box) {
  const [low, high] = box3(box);
  const { col, row } = pane.plane;
  const [x0, y0] = pane.toScreen([low[col], low[row]]);
  const [x1, y1] = pane.toScreen([high[col], high[row]]);
  return [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];
}

/** Strokes with a dark line beneath, so that it is seen on bone as on air. */
function stroked(context, path, colour, width) {
  context.setLineDash([]);
  context.lineWidth = width + 2;
  context.strokeStyle = DARK;
  context.stroke(path);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke(path);
}

function drawLesion(context, pane, lesion) {
  const { colour, shape } = mark(lesion.number);
  const chosen = pane.viewer.selected === lesion.id;
  const [x, y, width, height] = screenBox(pane, lesion.box);
  const space = 3;
  const path = new Path2D();
  path.rect(x - space, y - space, width + 2 * space, height + 2 * space);
  stroked(context, path, colour, chosen ? 2.5 : 1.25);
  const size = textSize(pane) + (chosen ? 8 : 5);
  const [bx, by] = [x + width + space + size * 0.7, y - space - size * 0.4];
  const outline = badge(shape, bx, by, size);
  context.fillStyle = colour;
  context.fill(outline);
  context.lineWidth = chosen ? 2 : 1;
  context.strokeStyle = chosen ? "#fff" : DARK;
  context.stroke(outline);
  context.font = `700 ${Math.round(size * 0.62)}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = "#000";
  context.fillText(String(lesion.number), bx, by + (shape === "triangle" ? size * 0.12 : 1));
}

/** A mask's paths on this plane; kept until the plane or the mask changes. */
function pathsOf(pane, mask) {
  const key = `${pane.plane.key}|${pane.index}|${mask.version}`;
  mask.paths ??= new Map();
  if (mask.paths.get(pane.plane.key)?.key !== key) {
    mask.paths.set(pane.plane.key, { key, paths: drawn(mask, pane.plane, pane.index) });
  }
  return mask.paths.get(pane.plane.key).paths;
}

function fillMask(context, pane, mask, colour) {
  const paths = pathsOf(pane, mask);
  if (!paths) return;
  const matrix = new DOMMatrix(pane.matrix);
  const [area, edge] = [new Path2D(), new Path2D()];
  area.addPath(paths.area, matrix);
  edge.addPath(paths.edge, matrix);
  context.globalAlpha = 0.22;
  context.fillStyle = colour;
  context.fill(area);
  context.globalAlpha = 1;
  context.lineCap = "square";
  stroked(context, edge, colour, 1.25);
}

function drawMask(context, pane, lesion) {
  const mask = pane.viewer.lesions.masks.get(lesion.id);
  if (mask) fillMask(context, pane, mask, mark(lesion.number).colour);
}

/** What readers drew, each with its name. */
function drawOutlines(context, pane) {
  for (const { box, mask, fixed, colour, name } of pane.viewer.outlines.of(pane.scene.image.n)) {
    const [low, high] = box3(box);
    const { through } = pane.plane;
    if (pane.index < low[through] || pane.index >= high[through] || (mask && !fixed)) continue;
    const [x, y, width, height] = screenBox(pane, box);
    if (mask) fillMask(context, pane, fixed, colour);
    else {
      const path = new Path2D();
      path.rect(x, y, width, height);
      stroked(context, path, colour, 1.75);
    }
    context.font = `600 ${textSize(pane)}px system-ui, "DejaVu Sans", sans-serif`;
    context.textAlign = "left";
    context.textBaseline = "top";
    write(context, name, x, y + height + 5, colour);
  }
}

function drawHeat(context, pane, lesion) {
  const saliency = pane.viewer.lesions.saliencies.get(lesion.id);
  if (!saliency) return;
  const { picture, low, high } = heatPicture(saliency, pane.plane, pane.index) ?? {};
  if (!picture) return;
  const { col, row } = pane.plane;
  context.save();
  context.transform(...pane.matrix);
  context.globalAlpha = pane.viewer.shown.opacity;
  context.imageSmoothingEnabled = true;
  context.drawImage(picture, low[col], low[row], high[col] - low[col], high[row] - low[row]);
  context.restore();
}

function drawDrawing(context, pane) {
  const { now } = pane.viewer.draft;
  if (!now || now.image !== pane.scene.image.n) return;
  if (now.mask) {
    fillMask(context, pane, now.mask, DRAWN);
    return;
  }
  const [low, high] = now.box;
  const { through } = pane.plane;
  if (pane.index < low[through] || pane.index >= high[through]) return;
  const path = new Path2D();
  path.rect(...screenBox(pane, now.box));
  stroked(context, path, DRAWN, 1.75);
  const grip = pane.hover && pane.viewer.tool === "box" && gripAt(pane, now.box, ...pane.hover);
  pane.canvas.classList.toggle("vw-grip", Boolean(grip));
}

function drawMeasurement(context, pane, line) {
  const [from, to] = [pane.screenOf(line.from), pane.screenOf(line.to)];
  const path = new Path2D();
  path.moveTo(...from);
  path.lineTo(...to);
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  const across = [(-(to[1] - from[1]) / length) * 5, ((to[0] - from[0]) / length) * 5];
  for (const [x, y] of [from, to]) {
    path.moveTo(x - across[0], y - across[1]);
    path.lineTo(x + across[0], y + across[1]);
  }
  stroked(context, path, "#ffe680", 1.5);
  context.font = `600 ${textSize(pane) + 1}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  const end = to[0] >= from[0] ? to : from;
  write(context, lengthText(pane.scene.image, line), end[0] + 9, end[1], "#ffe680");
}

/** The other two planes as lines in their colours, open around the place itself. */
function drawLines(context, pane) {
  const { plane, scene } = pane;
  const [x, y] = pane.screenOf(scene.point);
  const gap = 14;
  const other = { 0: "axial", 1: "coronal", 2: "sagittal" };
  const lines = [[plane.col, pane.turnedSideways], [plane.row, !pane.turnedSideways]];
  context.lineWidth = 1;
  context.globalAlpha = 0.85;
  for (const [axis, flat] of lines) {
    context.strokeStyle = PLANE_COLOURS[other[axis]];
    context.beginPath();
    const ends = flat ? [[0, x - gap], [x + gap, pane.width]] : [[0, y - gap], [y + gap, pane.height]];
    for (const [from, to] of ends) {
      context.moveTo(...(flat ? [from, y] : [x, from]));
      context.lineTo(...(flat ? [to, y] : [x, to]));
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawCross(context, pane) {
  const [x, y] = pane.screenOf(pane.scene.point);
  const path = new Path2D();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    path.moveTo(x + 4 * dx, y + 4 * dy);
    path.lineTo(x + 14 * dx, y + 14 * dy);
  }
  stroked(context, path, "#7fe3ff", 1.25);
}

function drawBrush(context, pane) {
  const { viewer, hover, scene } = pane;
  if (!hover || scene.prior || !["brush", "erase"].includes(viewer.tool)) return;
  const scale = pane.view.scale(pane.plane, pane.width, pane.height);
  const path = new Path2D();
  path.arc(...hover, Math.max(2, viewer.radius * scale), 0, 2 * Math.PI);
  stroked(context, path, viewer.tool === "brush" ? DRAWN : "#fff", 1.25);
}
