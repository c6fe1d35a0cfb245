// Drawing a box or a mask for the answer that is in the form, or for a lesion that was missed.
import { button, el, fill } from "./dom.js";

/** Between the viewer's drawing and the form. */
export class Outline {
  /**
   * @param {import("./viewer/viewer.js").Viewer} viewer
   * @param {import("./study_session.js").Session} session
   * @param {(text: string) => void} failed
   */
  constructor(viewer, session, failed) {
    Object.assign(this, { viewer, session, failed, form: null, lesion: null, active: null });
    viewer.addEventListener("drawn", () => this.#drawn());
  }

  /** Show this form's outline from now on. */
  attach(form, lesion) {
    if (this.active && this.lesion?.id !== lesion?.id) this.stop();
    Object.assign(this, { form, lesion });
    this.draw();
  }

  /** A drawing that was begun with a key is offered as well. */
  #drawn() {
    if (this.form && !this.active && this.viewer.drawing) this.#offer(this.viewer.drawing.bits ? "brush" : "box");
    else this.draw();
  }

  draw() {
    if (!this.form) return;
    const part = (name) => this.form.element.querySelector(`[data-part=${name}]`);
    part("outline").textContent = this.#told();
    fill(part("drawing"), ...(this.active ? this.#drawing() : this.#idle()));
  }

  #told() {
    const { box, mask } = this.form.outline;
    if (this.active) return this.#guide();
    if (mask) return "A mask that you drew.";
    if (box) return `A box that you drew, ${extent(box)}.`;
    if (!this.session.study.images.length) return "Nothing can be drawn before the images are there.";
    return this.lesion ? "As it was found." : "None yet: draw a box around it, then fill the form.";
  }

  #guide() {
    const how = this.active === "box" ? "Drag a box in the image" : "Paint over it in the image, on each slice that shows it";
    return this.viewer.drawing ? `Drawn: ${extent(this.viewer.drawing.box)}. It is taken when you save the answer.` : `${how}. Keys: see “Keys”, Tools.`;
  }

  #drawing() {
    return [
      button("Use drawing", () => this.use(), { class: "main", data: { key: "use" }, disabled: !this.viewer.drawing }),
      button("Discard drawing", () => this.stop(), { data: { key: "discard" } }),
    ];
  }

  #idle() {
    if (!this.session.study.images.length) return [];
    const drawn = this.form.outline.box || this.form.outline.mask;
    return [
      button("Draw a box", () => this.begin("box"), { data: { key: "box" } }),
      button("Draw a mask", () => this.begin("brush"), { data: { key: "brush" } }),
      this.lesion?.mask && button("Start from the found mask", () => this.found(), { data: { key: "found" } }),
      drawn && this.lesion && button("As it was found", () => this.back(), { data: { key: "back" } }),
    ].filter(Boolean);
  }

  begin(tool) {
    this.viewer.tool = tool;
    this.#offer(tool);
  }

  /** What can be done with a drawing, brought into sight. */
  #offer(tool) {
    this.active = tool;
    this.draw();
    this.form.element.querySelector(".outline").scrollIntoView({ block: "nearest" });
  }

  async found() {
    try {
      const mask = await this.session.source.mask(this.lesion);
      this.begin("brush");
      this.viewer.edit({ image: this.lesion.image, ...mask });
      this.draw();
    } catch (fault) {
      this.failed(`The found mask could not be read: ${fault.message}`);
    }
  }

  back() {
    this.form.redrawn({});
    this.draw();
  }

  /**
   * Take the drawing into the form; a mask goes to the server first and comes back as its name.
   * @returns {Promise<boolean>} whether nothing that was drawn is left over
   */
  async use() {
    const drawing = this.active && this.viewer.drawing;
    if (!drawing) return true;
    try {
      const mask = drawing.bits ? await this.session.keepMask(drawing) : null;
      this.form.place = { image: drawing.image.n ?? drawing.image, box: drawing.box };
      this.form.redrawn({ box: drawing.box, mask });
      this.stop();
      return true;
    } catch (fault) {
      this.failed(fault.message);
      return false;
    }
  }

  stop() {
    this.active = null;
    this.viewer.clear();
    this.viewer.tool = "window";
    this.draw();
  }
}

/** Size of a box of voxels, in words. */
function extent([first, last]) {
  const [z, y, x] = last.map((end, axis) => end - first[axis]);
  return `${z} × ${y} × ${x} voxels (planes × rows × columns)`;
}
