/**
 * The keys of the viewer: one list for the handler and for the help. Scrolling, 1 2 4, z + - =,
 * r l h v, i, space, PageUp and PageDown are OHIF's. Letters are as KeyboardEvent.key gives them.
 * @type {{group: string, keys: string[], command: string, label: string}[]}
 */
export const KEYS = [
  entry("Scroll", ["ArrowUp"], "scroll-up", "Image before"),
  entry("Scroll", ["ArrowDown"], "scroll-down", "Image after"),
  entry("Scroll", ["Home"], "scroll-first", "First image"),
  entry("Scroll", ["End"], "scroll-last", "Last image"),
  entry("Scroll", ["PageUp"], "image-before", "Series before"),
  entry("Scroll", ["PageDown"], "image-after", "Series after"),
  entry("Window", ["1"], "window-1", "Soft tissue"),
  entry("Window", ["2"], "window-2", "Lung"),
  entry("Window", ["3"], "window-3", "Wide"),
  entry("Window", ["4"], "window-4", "Bone and mineral"),
  entry("Window", ["5"], "window-5", "The study's own"),
  entry("Window", ["ctrl+shift+ArrowRight"], "window-wider", "Wider"),
  entry("Window", ["ctrl+shift+ArrowLeft"], "window-narrower", "Narrower"),
  entry("Window", ["ctrl+shift+ArrowUp"], "window-higher", "Higher centre: darker"),
  entry("Window", ["ctrl+shift+ArrowDown"], "window-lower", "Lower centre: brighter"),
  entry("Window", ["i"], "invert", "Invert"),
  entry("View", ["+", "="], "zoom-in", "Zoom in"),
  entry("View", ["-"], "zoom-out", "Zoom out"),
  entry("View", ["ctrl+ArrowUp"], "pan-up", "Move the image up"),
  entry("View", ["ctrl+ArrowDown"], "pan-down", "Move it down"),
  entry("View", ["ctrl+ArrowLeft"], "pan-left", "Move it left"),
  entry("View", ["ctrl+ArrowRight"], "pan-right", "Move it right"),
  entry("View", ["r"], "rotate-right", "Turn right"),
  entry("View", ["l"], "rotate-left", "Turn left"),
  entry("View", ["h"], "flip-horizontal", "Flip left and right"),
  entry("View", ["v"], "flip-vertical", "Flip up and down"),
  entry("View", [" "], "reset", "Reset the view"),
  entry("Layout", ["s"], "layout-stack", "One image"),
  entry("Layout", ["g"], "layout-planes", "Three planes"),
  entry("Layout", ["j"], "layout-prior", "Prior beside current"),
  entry("Layout", ["J"], "link", "Link or unlink the prior's scrolling"),
  entry("Layout", ["t"], "slab", "Maximum intensity: next thickness"),
  entry("Overlays", ["o"], "boxes", "Boxes"),
  entry("Overlays", ["n"], "masks", "Outlines"),
  entry("Overlays", ["q"], "saliency", "Saliency"),
  entry("Overlays", [">"], "saliency-more", "Saliency stronger"),
  entry("Overlays", ["<"], "saliency-less", "Saliency weaker"),
  entry("Tools", ["w"], "tool-window", "Window by dragging"),
  entry("Tools", ["p"], "tool-pan", "Move by dragging"),
  entry("Tools", ["z"], "tool-zoom", "Zoom by dragging"),
  entry("Tools", ["m"], "tool-measure", "Measure"),
  entry("Tools", ["b"], "tool-box", "Draw a box"),
  entry("Tools", ["d"], "tool-brush", "Draw with a brush"),
  entry("Tools", ["e"], "tool-erase", "Erase with a brush"),
  entry("Tools", [","], "brush-smaller", "Smaller brush"),
  entry("Tools", ["."], "brush-larger", "Larger brush"),
  entry("Tools", ["f"], "box-from", "Box from this image on"),
  entry("Tools", ["F"], "box-to", "Box up to this image"),
  entry("Tools", ["shift+ArrowUp"], "cross-up", "Cross-hair up"),
  entry("Tools", ["shift+ArrowDown"], "cross-down", "Cross-hair down"),
  entry("Tools", ["shift+ArrowLeft"], "cross-left", "Cross-hair left"),
  entry("Tools", ["shift+ArrowRight"], "cross-right", "Cross-hair right"),
  entry("Tools", ["Enter"], "apply", "Use the tool at the cross-hair"),
  entry("Tools", ["Delete"], "delete", "Remove the last measurement"),
  entry("Tools", ["ctrl+z"], "undo", "Undo"),
  entry("Tools", ["ctrl+y", "ctrl+shift+z"], "redo", "Redo"),
];

const OFF = "calcilens-keys-off";
const TEXT = "textarea, select, [contenteditable=''], [contenteditable=true], "
  + "input:not([type=radio]):not([type=checkbox]):not([type=range]):not([type=button])";
const OWN_KEYS = "input, button, a[href], summary, [role=tab], [role=slider], [role=button]";
const OF_CONTROLS = new Set([
  " ", "Enter", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown",
]);

function entry(group, keys, command, label) {
  return { group, keys, command, label };
}

/** The key that was pressed, as the list writes it. */
export function pressed(event) {
  const control = event.ctrlKey || event.metaKey;
  const named = event.key.length > 1;
  const parts = [control && "ctrl", event.altKey && "alt"];
  parts.push(event.shiftKey && (named || control) && "shift");
  parts.push(control && !named ? event.key.toLowerCase() : event.key);
  return parts.filter(Boolean).join("+");
}

/** Whether a key is somebody else's: text is typed, a dialog is open, or a control uses it. */
export function taken(event) {
  const at = event.target instanceof Element ? event.target : document.body;
  if (event.isComposing || at.closest(TEXT)) return true;
  if (document.querySelector("dialog[open], [role=dialog][aria-modal=true]")) return true;
  return OF_CONTROLS.has(event.key) && !event.ctrlKey && Boolean(at.closest(OWN_KEYS));
}

/** Command of a key; null: none, or the key is not for the viewer now. */
export function commandFor(event) {
  if (event.defaultPrevented || taken(event)) return null;
  const key = pressed(event);
  if (key.length === 1 && key !== " " && !lettersOn()) return null;
  return KEYS.find((one) => one.keys.includes(key))?.command ?? null;
}

/** Keys without ctrl can be switched off (WCAG 2.1.4); this browser remembers it. */
export function lettersOn() {
  return localStorage.getItem(OFF) === null;
}

export function setLetters(on) {
  if (on) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "1");
}

/**
 * Run commands by key in the whole page.
 * @param {(command: string) => boolean | void} run
 * @returns {() => void} stops it
 */
export function listen(run) {
  const act = (event) => {
    const command = commandFor(event);
    if (!command) return;
    event.preventDefault();
    run(command);
  };
  document.addEventListener("keydown", act);
  return () => document.removeEventListener("keydown", act);
}
