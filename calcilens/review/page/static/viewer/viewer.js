/**
 * The image viewer of the review page.
 *
 * Events: "place" {image, z, voxel, prior}, "drawn" {drawing}, "measured" {measurements},
 * "picked" {lesion} (a click on a lesion), "state" (tool, layout, window, overlays ...).
 * Canvas 2D, since it is faster than WebGL 2 where there is no GPU (benchmarks/viewer.py) and
 * fast enough with one: a picture is made once a plane, and the browser scales it.
 */

import { COMMANDS, STEPS } from "./commands.js";
import { Drawing } from "./drawing.js";
import { clamp, inside } from "./geometry.js";
import { History } from "./history.js";
import { placeText } from "./labels.js";
import { arrange } from "./layout.js";
import { LesionOverlays, middle, within } from "./lesions.js";
import { align, carried, linkOf, partnerOf } from "./links.js";
import { Announcer } from "./live.js";
import { Outlines } from "./outlines.js";
import { Settings } from "./settings.js";
import { Store } from "./store.js";

export class Viewer extends Settings {
  /**
   * @param {HTMLElement} element
   * @param source {planes(image, z, count, how), film(image, level, how), mask(lesion),
   *   saliency(lesion), drawn(sha256)}; `how` is {prior, signal}
   */
  constructor(element, source) {
    super();
    this.live = new Announcer();
    this.stage = document.createElement("div");
    this.stage.className = "vw-stage";
    element.replaceChildren(this.stage, this.live.element);
    this.store = new Store(source, (scene) => this.changed(scene));
    this.history = new History();
    this.draft = new Drawing(this.history, () => this.drew());
    this.panes = [];
    this.scenes = { current: null, prior: null };
    this.measurements = [];
    this.active = null;
    this.anchor = null;
    this.crossed = false;
    this.lesions = new LesionOverlays(source, this.shown, (fault) => this.fetched(fault));
    this.outlines = new Outlines(source, (fault) => this.fetched(fault));
    this.frame = 0;
  }

  /** Show a study; the same study again only brings its lesions up to date. */
  load(study) {
    const same = this.study?.study.study_uid === study.study.study_uid
      && JSON.stringify(this.study.images) === JSON.stringify(study.images);
    this.study = study;
    if (!same) this.begin();
    this.lesions.update(study.lesions, same);
    if (this.lesions.get(this.selected) === undefined) this.selected = null;
    if (!same && study.images.length) this.open(study.images[0]);
    this.invalidate();
  }

  begin() {
    this.store.clear();
    this.history.clear();
    this.draft.forget();
    this.outlines.forget();
    this.measurements = [];
    this.anchor = null;
    this.selected = null;
    this.scenes = { current: null, prior: null };
    arrange(this);
  }

  close() {
    this.begin();
    cancelAnimationFrame(this.frame);
    this.live.close();
    this.stage.remove();
  }

  /** Go to an image, a plane of it, or a lesion. */
  show({ image, z, lesion }) {
    const one = lesion === undefined ? null : this.lesions.get(lesion);
    const n = image ?? one?.image ?? this.scenes.current?.image.n;
    const found = this.study?.images.find((other) => other.n === n);
    if (!found) return;
    if (one) this.selected = one.id;
    if (this.scenes.current?.image !== found) this.open(found);
    const { current } = this.scenes;
    const point = one ? middle(one) : [...current.point];
    if (z !== undefined && z !== null) point[0] = z;
    this.goTo(current, point);
    if (one) this.panes.filter((pane) => pane.scene === current).forEach((pane) => pane.bring(point));
  }

  select(lesionId) {
    this.selected = lesionId ?? null;
    this.invalidate();
  }

  open(image) {
    const current = this.store.get(image, false);
    const partner = partnerOf(this.study.prior, image);
    const prior = partner && this.state.layout === "prior" ? this.store.get(partner, true) : null;
    this.scenes = { current, prior };
    this.anchor = null;
    arrange(this);
    current.pixels.want(current.point[0]);
    prior?.pixels.want(prior.point[0]);
    this.moved(current);
  }

  /** The image before or after in the study. */
  step(by) {
    const images = this.study?.images ?? [];
    const k = images.indexOf(this.scenes.current?.image);
    const next = images[clamp(k + by, 0, images.length - 1)];
    if (next && next !== images[k]) this.open(next);
  }

  scrollTo(pane, index) {
    const point = [...pane.scene.point];
    point[pane.plane.through] = index;
    this.goTo(pane.scene, point);
  }

  /** Move the cross-hair of a scene, and that of the linked one. */
  goTo(scene, voxel) {
    scene.point = inside(scene.image, voxel);
    scene.pixels.want(scene.point[0]);
    this.moved(scene);
  }

  moved(scene) {
    const { current, prior } = this.scenes;
    const other = scene === prior ? current : prior;
    if (this.linked && this.linkable) {
      other.point = carried(this.link, scene, other);
      other.pixels.want(other.point[0]);
    }
    this.invalidate();
    this.announce();
    const { image, point } = scene;
    this.emit("place", { image: image.n, z: point[0], voxel: [...point], prior: scene.prior });
  }

  /** Something of a scene changed: pixels, window. */
  changed(scene) {
    this.panes.filter((pane) => pane.scene === scene).forEach((pane) => pane.invalidate());
    this.emit("state", {});
  }

  clicked(pane, x, y) {
    const voxel = pane.voxelAt(x, y);
    const picked = this.lesionsOn(pane).find(({ box }) => within(box, voxel, pane));
    this.crossed = false;
    if (this.layout === "planes") this.goTo(pane.scene, voxel);
    if (picked && !pane.scene.prior) {
      this.select(picked.id);
      this.emit("picked", { lesion: picked.id });
    }
  }

  activate(pane) {
    this.active = pane;
    this.panes.forEach((one) => one.element.classList.toggle("vw-active", one === pane));
  }

  /** Run a command by name; false: there is none such. */
  command(name) {
    const run = COMMANDS[name];
    if (!run) return false;
    if (this.active) {
      run(this, this.active);
      this.invalidate();
      if (!STEPS.test(name)) this.emit("state", {});
    }
    return true;
  }

  get drawing() {
    return this.draft.result;
  }

  /** Draw on from a mask {box, bits} or a box; both may name their image, else the present one. */
  edit(given) {
    const n = given.image ?? this.scenes.current.image.n;
    const image = this.study.images.find((one) => one.n === n);
    this.draft.edit(given, image);
  }

  clear() {
    if (this.draft.now) this.draft.replace(null);
  }

  undo() {
    return this.history.undo();
  }

  redo() {
    return this.history.redo();
  }

  /** The registration of the two images side by side; null: there is none. */
  get link() {
    const { current, prior } = this.scenes;
    return prior && linkOf(this.study.prior, current.image, prior.image);
  }

  fetched(fault) {
    if (fault) this.live.say(`An overlay could not be loaded: ${fault.message}`);
    this.invalidate();
  }

  drew() {
    this.invalidate();
    this.emit("drawn", { drawing: this.drawing });
  }

  measured() {
    this.invalidate();
    this.emit("measured", { measurements: [...this.measurements] });
  }

  lesionsOn(pane) {
    return this.lesions.on(pane);
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  announce() {
    if (!this.active) return;
    const here = this.lesionsOn(this.active).map((lesion) => lesion.number);
    const lesions = here.length ? `; lesion ${here.join(" and ")} here` : "";
    this.live.say(placeText(this.active) + lesions);
  }

  invalidate() {
    this.panes.forEach((pane) => {
      pane.dirty = true;
    });
    this.schedule();
  }

  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.linked && this.linkable) align(this.panes, this.active, this.link);
      this.panes.filter((pane) => pane.dirty).forEach((pane) => pane.draw());
    });
  }
}
