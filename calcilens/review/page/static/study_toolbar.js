// Tools, windows, layouts and overlays of the viewer. What a key changes is shown here as well.
import { button, el } from "./dom.js";
import { KEYS } from "./keys.js";
import { PRESETS, SLABS } from "./viewer/presets.js";

const TOOLS = { window: "Window", pan: "Pan", zoom: "Zoom", measure: "Measure" };
const LAYOUTS = { stack: "One", planes: "Three planes", prior: "Prior" };
const KEY_OF = new Map(KEYS.map(({ command, keys }) => [command, keys[0]]));
const OVERLAYS = { boxes: "Boxes", masks: "Masks", saliency: "Saliency" };

/** The toolbar above the images. */
export class Toolbar {
  constructor(element, viewer, session) {
    Object.assign(this, { viewer, session });
    this.tools = pressable(TOOLS, "tool-", (tool) => { viewer.tool = tool; this.draw(); });
    this.layouts = pressable(LAYOUTS, "layout-", (layout) => { viewer.layout = layout; this.draw(); });
    this.overlays = pressable(OVERLAYS, "", (name) => this.#overlay({ [name]: !viewer.overlays[name] }));
    this.opacity = el("input", { type: "range", min: "0", max: "1", step: "0.05", "aria-label": "Opacity of saliency and masks", on: { input: () => this.#overlay({ opacity: Number(this.opacity.value) }) } });
    this.preset = select("Window preset", ["Window …", ...PRESETS.map(({ key, label }) => `${key} ${label}`)], (i) => { if (i) viewer.command(`window-${PRESETS[i - 1].key}`); this.preset.selectedIndex = 0; });
    this.slab = select("Maximum intensity, thickness", SLABS.map((mm) => (mm ? `MIP ${mm} mm` : "MIP off")), (i) => { viewer.mip = SLABS[i]; });
    PRESETS.forEach(({ width }, k) => { if (width !== null) this.preset.options[k + 1].dataset.hu = ""; });
    this.image = select("Image", [], (i) => viewer.show({ image: session.study.images[i].n }));
    element.append(
      group("Image", this.image), group("Tool", ...Object.values(this.tools)), group("Window", this.preset),
      group("Layout", ...Object.values(this.layouts), this.slab),
      group("Overlays", ...Object.values(this.overlays), this.opacity),
      group("View", button("Reset", () => viewer.command("reset"), { title: "Key: space" })),
    );
    viewer.addEventListener("place", ({ detail }) => {
      if (!detail.prior) this.image.selectedIndex = session.study.images.findIndex((one) => one.n === detail.image);
    });
    viewer.addEventListener("state", () => this.draw());
    session.addEventListener("change", () => this.draw());
  }

  #overlay(change) {
    this.viewer.overlays = { ...this.viewer.overlays, ...change };
    this.draw();
  }

  draw() {
    const { viewer, session: { study, lesion } } = this;
    if (!study) return;
    const film = study.images.every((image) => image.kind === "film");
    press(this.tools, (tool) => viewer.tool === tool);
    press(this.layouts, (layout) => viewer.layout === layout);
    press(this.overlays, (name) => Boolean(viewer.overlays[name]));
    this.layouts.planes.disabled = this.slab.disabled = film;
    this.layouts.prior.disabled = !study.prior;
    this.preset.querySelectorAll("[data-hu]").forEach((option) => { option.disabled = film; });
    const map = lesion?.revealed && lesion.saliency;
    this.overlays.saliency.disabled = !map;
    this.overlays.saliency.title = map ? keyOf("saliency") : lesion?.revealed ? "No map of this lesion is shown" : "Shown after you have committed your answer";
    this.opacity.value = String(viewer.overlays.opacity ?? 0.5);
    this.slab.selectedIndex = Math.max(SLABS.indexOf(viewer.mip ?? 0), 0);
    this.#images(study.images);
  }

  #images(images) {
    const known = images.map((image) => image.label).join("\n");
    if (this.image.dataset.known !== known) {
      this.image.dataset.known = known;
      this.image.replaceChildren(...images.map((image) => el("option", { text: image.label })));
    }
    this.image.parentElement.hidden = images.length < 2;
  }
}

const keyOf = (command) => `Key: ${KEY_OF.get(command)}`;

const group = (name, ...parts) => el("div", { class: "group", role: "group", "aria-label": name }, ...parts);

/** Buttons that stay pressed; what their key is shows where the pointer rests. */
function pressable(names, command, run) {
  const made = ([name, text]) => [name, button(text, () => run(name), { "aria-pressed": "false", title: keyOf(command + name) })];
  return Object.fromEntries(Object.entries(names).map(made));
}

function press(buttons, is) {
  for (const [key, one] of Object.entries(buttons)) one.setAttribute("aria-pressed", String(is(key)));
}

function select(label, options, run) {
  const made = el("select", { "aria-label": label }, ...options.map((text) => el("option", { text })));
  made.addEventListener("change", () => run(made.selectedIndex));
  return made;
}
