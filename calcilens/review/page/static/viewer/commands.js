/** What the keys and buttons do, by name. */

import { clamp } from "./geometry.js";
import { SLABS, presetWindow } from "./presets.js";
import { limit } from "./tools/box.js";
import { keep, removeLast } from "./tools/measure.js";
import { TOOLS } from "./pointer.js";

const PAN_PX = 40;
const ZOOM = 1.25;
/** Commands that only move: "place" tells of them. */
export const STEPS = /^(scroll|cross|pan)-/;

/** @type {Record<string, (viewer: any, pane: any) => unknown>} */
export const COMMANDS = {
  "scroll-up": (viewer, pane) => viewer.scrollTo(pane, pane.index - 1),
  "scroll-down": (viewer, pane) => viewer.scrollTo(pane, pane.index + 1),
  "scroll-first": (viewer, pane) => viewer.scrollTo(pane, 0),
  "scroll-last": (viewer, pane) => viewer.scrollTo(pane, pane.plane.depth - 1),
  "image-before": (viewer) => viewer.step(-1),
  "image-after": (viewer) => viewer.step(1),
  "window-wider": (viewer, pane) => scale(pane, 1.15, 0),
  "window-narrower": (viewer, pane) => scale(pane, 1 / 1.15, 0),
  "window-higher": (viewer, pane) => scale(pane, 1, 0.05),
  "window-lower": (viewer, pane) => scale(pane, 1, -0.05),
  invert: (viewer, pane) => pane.scene.invert(),
  "zoom-in": (viewer, pane) => zoom(viewer, pane, ZOOM),
  "zoom-out": (viewer, pane) => zoom(viewer, pane, 1 / ZOOM),
  "pan-up": (viewer, pane) => pan(pane, 0, -PAN_PX),
  "pan-down": (viewer, pane) => pan(pane, 0, PAN_PX),
  "pan-left": (viewer, pane) => pan(pane, -PAN_PX, 0),
  "pan-right": (viewer, pane) => pan(pane, PAN_PX, 0),
  "rotate-right": (viewer, pane) => pane.view.turn(1),
  "rotate-left": (viewer, pane) => pane.view.turn(-1),
  "flip-horizontal": (viewer, pane) => pane.view.flip(true),
  "flip-vertical": (viewer, pane) => pane.view.flip(false),
  reset: (viewer, pane) => reset(pane),
  link: (viewer) => viewer.setLinked(!viewer.linked),
  slab: (viewer) => {
    viewer.mip = SLABS[(SLABS.indexOf(viewer.mip) + 1) % SLABS.length];
  },
  boxes: (viewer) => viewer.show_({ boxes: !viewer.shown.boxes }),
  masks: (viewer) => viewer.show_({ masks: !viewer.shown.masks }),
  saliency: (viewer) => viewer.show_({ saliency: !viewer.shown.saliency }),
  "saliency-more": (viewer) => opacity(viewer, 0.1),
  "saliency-less": (viewer) => opacity(viewer, -0.1),
  "brush-smaller": (viewer) => brush(viewer, 1 / 1.25),
  "brush-larger": (viewer) => brush(viewer, 1.25),
  "box-from": (viewer, pane) => limit(viewer, pane, 0),
  "box-to": (viewer, pane) => limit(viewer, pane, 1),
  "cross-up": (viewer, pane) => cross(viewer, pane, 0, -1),
  "cross-down": (viewer, pane) => cross(viewer, pane, 0, 1),
  "cross-left": (viewer, pane) => cross(viewer, pane, -1, 0),
  "cross-right": (viewer, pane) => cross(viewer, pane, 1, 0),
  apply: (viewer, pane) => apply(viewer, pane),
  delete: (viewer) => removeLast(viewer),
  undo: (viewer) => viewer.undo(),
  redo: (viewer) => viewer.redo(),
  ...each(["stack", "planes", "prior"], "layout-", (viewer, name) => {
    viewer.layout = name;
  }),
  ...each(["window", "pan", "zoom", "measure", "box", "brush", "erase"], "tool-", (viewer, name) => {
    viewer.tool = name;
  }),
  ...each([1, 2, 3, 4, 5], "window-", (viewer, number, pane) => preset(viewer, pane, number)),
};

function each(names, prefix, run) {
  return Object.fromEntries(names.map((name) => (
    [`${prefix}${name}`, (viewer, pane) => run(viewer, name, pane)]
  )));
}

function preset(viewer, pane, number) {
  const window = presetWindow(number, pane.scene.image);
  if (window) pane.scene.setWindow(window.center, window.width);
  else viewer.live.say("This window is for CT only");
}

function scale(pane, by, shift) {
  const { center, width } = pane.scene.window;
  pane.scene.setWindow(center + shift * width, width * by);
}

/** At the pointer where it is over the pane, else at its middle. */
function zoom(viewer, pane, factor) {
  const at = pane.hover ?? [pane.width / 2, pane.height / 2];
  pane.view.zoomAt(factor, at, pane.width, pane.height);
}

function pan(pane, x, y) {
  pane.view.pan = [pane.view.pan[0] + x, pane.view.pan[1] + y];
}

function reset(pane) {
  const { scene } = pane;
  Object.values(scene.views).forEach((view) => view.reset());
  scene.inverted = false;
  scene.setWindow(scene.image.window.center, scene.image.window.width);
}

function opacity(viewer, by) {
  viewer.show_({ saliency: true, opacity: clamp(viewer.shown.opacity + by, 0.1, 1) });
}

function brush(viewer, by) {
  viewer.radius = clamp(viewer.radius * by, 0.5, 100);
}

/** Move the cross-hair by a voxel, whichever way the image is turned. */
function cross(viewer, pane, x, y) {
  const [a, b, c, d] = pane.matrix.map((value) => Math.sign(Math.round(value * 1e6)));
  const point = [...pane.scene.point];
  point[pane.plane.col] += a * x + b * y;
  point[pane.plane.row] += c * x + d * y;
  viewer.crossed = true;
  viewer.goTo(pane.scene, point);
}

/** Use the tool at the cross-hair: dab, begin or end a measurement, begin or stretch a box. */
function apply(viewer, pane) {
  const { scene } = pane;
  const at = pane.screenOf(scene.point);
  viewer.crossed = true;
  if (viewer.tool === "measure") {
    const from = viewer.anchor;
    viewer.anchor = from ? null : [...scene.point];
    if (from) {
      const { through } = pane.plane;
      keep(viewer, { image: scene.image.n, prior: scene.prior, through, from, to: [...scene.point] });
    }
    viewer.live.say(from ? "Measured" : "Measurement begun: move the cross-hair, then Enter");
  } else if (viewer.tool === "box") {
    const from = viewer.anchor ? pane.screenOf(viewer.anchor) : at;
    viewer.anchor = viewer.anchor ? null : [...scene.point];
    use(viewer, pane, "box", from, at);
    viewer.live.say(viewer.anchor ? "Box begun: move the cross-hair, then Enter" : "Box drawn");
  } else if (viewer.tool === "brush" || viewer.tool === "erase") {
    use(viewer, pane, viewer.tool, at, at);
  }
}

function use(viewer, pane, tool, from, to) {
  if (pane.scene.prior) return;
  const drag = TOOLS[tool](viewer, pane, ...from, false);
  drag?.move(...to);
  drag?.end();
}
