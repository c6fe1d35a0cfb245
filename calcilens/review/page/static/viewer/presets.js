/**
 * Windows by number key. 1, 2 and 4 are OHIF's; 3 (there the liver) shows mineral beside soft
 * tissue; 5 is the study's own.
 */
export const PRESETS = [
  { key: "1", label: "Soft tissue", center: 40, width: 400 },
  { key: "2", label: "Lung", center: -600, width: 1500 },
  { key: "3", label: "Wide", center: 300, width: 3000 },
  { key: "4", label: "Bone and mineral", center: 480, width: 2500 },
  { key: "5", label: "Study's own", center: null, width: null },
];

/** Slab thicknesses (mm) that the key for maximum intensity steps through. */
export const SLABS = [0, 5, 10, 20, 40];

/** The window of a preset for an image; null where it means nothing (HU on a radiograph). */
export function presetWindow(number, image) {
  const preset = PRESETS[number - 1];
  if (!preset) return null;
  if (preset.width === null) return { ...image.window };
  return image.modality === "CT" ? { center: preset.center, width: preset.width } : null;
}

/** The label of the preset whose window this is, or "". */
export function presetLabel(window, image) {
  if (image.modality !== "CT") return "";
  const same = PRESETS.find((p) => p.center === window.center && p.width === window.width);
  return same ? same.label : "";
}
