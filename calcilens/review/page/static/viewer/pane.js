/** One plane of one image on a canvas. */

import { spacingOf } from "./geometry.js";
import { drawLabels, placeText } from "./labels.js";
import { drawOverlays } from "./overlays.js";
import { Raster } from "./raster.js";
import { ScrollBar } from "./scroll_bar.js";
import { back, through } from "./view.js";

export class Pane {
  constructor(viewer, scene, planeKey) {
    this.viewer = viewer;
    this.scene = scene;
    this.plane = scene.plane(planeKey);
    this.raster = new Raster();
    /** Place of the pointer in CSS pixels; null: it is elsewhere. */
    this.hover = null;
    this.dirty = true;
    this.element = document.createElement("div");
    this.element.className = `vw-pane vw-${planeKey}`;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "image");
    this.progress = document.createElement("div");
    this.progress.className = "vw-progress";
    this.element.append(this.canvas, this.progress);
    this.bar = this.plane.depth > 1 ? new ScrollBar(this) : null;
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.element);
  }

  get view() {
    return this.scene.view(this.plane.key);
  }

  get index() {
    return this.scene.point[this.plane.through];
  }

  /** Whether columns of the plane run up or down the screen. */
  get turnedSideways() {
    return this.view.turned[0] === 0;
  }

  get matrix() {
    return this.view.matrix(this.plane, this.width, this.height);
  }

  /** Fit the canvas to its place; drawn at once, since this empties it. */
  resize() {
    const box = this.element.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    if (!box.width || !box.height) return;
    const [across, down] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.canvas.width !== across) this.canvas.width = across;
    if (this.canvas.height !== down) this.canvas.height = down;
    // whole screen pixels, so that nothing is scaled a second time
    [this.width, this.height, this.ratio] = [across / ratio, down / ratio, ratio];
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.style.left = `${Math.round(box.left * ratio) / ratio - box.left}px`;
    this.canvas.style.top = `${Math.round(box.top * ratio) / ratio - box.top}px`;
    this.draw();
  }

  close() {
    this.resizing.disconnect();
    this.element.remove();
    this.canvas.width = 0;
    this.canvas.height = 0;
    this.raster = null;
  }

  invalidate() {
    this.dirty = true;
    this.viewer.schedule();
  }

  /** Columns and rows, from the edge of the plane, at a place in CSS pixels. */
  planeAt(x, y) {
    return back(this.matrix, [x, y]);
  }

  /** The voxel (z, y, x), not rounded, at a place in CSS pixels. */
  voxelAt(x, y) {
    const [u, v] = this.planeAt(x, y);
    const voxel = [...this.scene.point];
    voxel[this.plane.row] = v - 0.5;
    voxel[this.plane.col] = u - 0.5;
    return voxel;
  }

  /** Place in CSS pixels of columns and rows from the edge of the plane. */
  toScreen(place) {
    return through(this.matrix, place);
  }

  /** Place in CSS pixels of a voxel (z, y, x), seen along this plane. */
  screenOf(voxel) {
    return this.toScreen([voxel[this.plane.col] + 0.5, voxel[this.plane.row] + 0.5]);
  }

  /** Shift the image so that a voxel is seen, where it lies outside or near the edge. */
  bring(voxel) {
    if (!this.width) return;
    const [x, y] = this.screenOf(voxel);
    const [dx, dy] = [x - this.width / 2, y - this.height / 2];
    if (Math.abs(dx) < 0.4 * this.width && Math.abs(dy) < 0.4 * this.height) return;
    this.view.pan = [this.view.pan[0] - dx, this.view.pan[1] - dy];
    this.invalidate();
  }

  draw() {
    this.dirty = false;
    if (!this.width) return;
    const { context, ratio, plane, scene } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const scale = this.view.scale(plane, this.width, this.height) * plane.colMm * ratio;
    const thickness = scene.image.kind === "film" ? 0 : this.viewer.mip;
    const picture = this.raster.of(scene, plane, this.index, thickness, scale);
    if (picture) {
      context.setTransform(...this.matrix.map((value) => value * ratio));
      context.imageSmoothingEnabled = true;
      context.imageSmoothingQuality = "low";
      context.drawImage(picture, 0, 0, plane.cols, plane.rows);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawOverlays(context, this);
    drawLabels(context, this, Boolean(picture));
    this.tell();
  }

  /** What a screen reader says of the pane, its bar, and how much has come. */
  tell() {
    const { progress } = this.scene.pixels;
    const here = `${progress >= 1 ? 0 : Math.round(100 * progress)}%`;
    if (this.progress.style.width !== here) this.progress.style.width = here;
    const text = placeText(this);
    if (this.said !== text) this.canvas.setAttribute("aria-label", text);
    this.said = text;
    this.bar?.show();
  }

  get calibrated() {
    return spacingOf(this.scene.image) !== null;
  }
}
