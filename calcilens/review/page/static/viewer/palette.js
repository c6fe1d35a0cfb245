/**
 * Colours that all kinds of colour vision tell apart: Okabe and Ito's (2008) for lesions
 * (the green lighter, to be seen on grey), and
 * cividis (Nunez, Anderton and Renslow, PLoS ONE 2018) for saliency. Lesions also differ in shape.
 */

const COLOURS = ["#56b4e9", "#e69f00", "#1fcf9e", "#f0e442", "#cc79a7", "#d55e00", "#ffffff"];
const SHAPES = ["circle", "square", "diamond", "triangle", "hexagon"];
const CIVIDIS = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];

export const DRAWN = "#ff8ad8";
export const PLANE_COLOURS = { axial: "#56b4e9", coronal: "#e69f00", sagittal: "#cc79a7" };

/** Colour and shape of the lesion with a number, from 1; 35 of them differ. */
export function mark(number) {
  const k = Math.max(0, number - 1);
  return { colour: COLOURS[k % COLOURS.length], shape: SHAPES[k % SHAPES.length] };
}

/** Colour [r, g, b] of a saliency from 0 to 1. */
export function heat(value) {
  const place = Math.min(1, Math.max(0, value)) * (CIVIDIS.length - 1);
  const k = Math.min(CIVIDIS.length - 2, Math.floor(place));
  return CIVIDIS[k].map((low, c) => Math.round(low + (CIVIDIS[k + 1][c] - low) * (place - k)));
}

/** The outline of a badge around a place, as a path. */
export function badge(shape, x, y, size) {
  const path = new Path2D();
  const r = size / 2;
  if (shape === "circle") path.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === "square") path.rect(x - r, y - r, size, size);
  else {
    const sides = { diamond: 4, triangle: 3, hexagon: 6 }[shape];
    const reach = { diamond: 1.3, triangle: 1.5, hexagon: 1.1 }[shape] * r;
    for (let k = 0; k < sides; k += 1) {
      const turn = -Math.PI / 2 + (2 * Math.PI * k) / sides;
      path.lineTo(x + reach * Math.cos(turn), y + reach * Math.sin(turn));
    }
    path.closePath();
  }
  return path;
}
