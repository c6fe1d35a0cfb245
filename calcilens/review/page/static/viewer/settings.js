/** What can be set on the viewer: tool, layout, slab, overlays, brush, linked scrolling. */

import { TOOLS } from "./pointer.js";

const RADII = { mm: 2, px: 12 };

export class Settings extends EventTarget {
  constructor() {
    super();
    this.state = { tool: "window", layout: "stack", mip: 0 };
    this.shown = { boxes: true, masks: false, saliency: false, opacity: 0.5 };
    this.radii = { ...RADII };
    this.linked = true;
  }

  get tool() {
    return this.state.tool;
  }

  set tool(name) {
    if (!(name in TOOLS)) throw new RangeError(`tool: one of ${Object.keys(TOOLS)}, not ${name}`);
    this.state.tool = name;
    this.stage.dataset.tool = name;
    this.anchor = null;
    this.invalidate();
    this.emit("state", {});
  }

  get layout() {
    return this.state.layout;
  }

  set layout(name) {
    const { current } = this.scenes;
    const missing = (name === "prior" && !this.study?.prior?.images?.length)
      || (name === "planes" && current?.image.kind === "film");
    if (missing) {
      this.live.say(name === "prior" ? "There is no prior study" : "A radiograph has one plane only");
      return;
    }
    this.state.layout = name;
    if (current) this.open(current.image);
    this.emit("state", {});
  }

  get mip() {
    return this.state.mip;
  }

  set mip(mm) {
    this.state.mip = Math.max(0, Number(mm) || 0);
    this.invalidate();
    this.emit("state", {});
  }

  get overlays() {
    return { ...this.shown };
  }

  set overlays(shown) {
    this.show_(shown);
  }

  show_(shown) {
    Object.assign(this.shown, shown);
    this.lesions.fetch();
    this.invalidate();
    this.emit("state", {});
  }

  /** Radius of the brush in mm; in px where the image is not calibrated. */
  get radius() {
    return this.radii[this.scenes.current?.image.spacing_mm ? "mm" : "px"];
  }

  set radius(value) {
    this.radii[this.scenes.current?.image.spacing_mm ? "mm" : "px"] = value;
    this.invalidate();
  }

  /** Whether the images side by side could scroll together. */
  get linkable() {
    return Boolean(this.link);
  }

  setLinked(on) {
    this.linked = on;
    if (on && this.scenes.current) this.moved(this.scenes.current);
    this.emit("state", {});
  }
}
