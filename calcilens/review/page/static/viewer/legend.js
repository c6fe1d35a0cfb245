/** What the colours of saliency mean, beside them. */

import { textSize, write } from "./labels.js";
import { heat } from "./palette.js";

const WIDTH = 9, HEIGHT = 0.7; // in heights of the text
const STEPS = 32;

/** A bar from little to much, above the number of the image. */
export function drawLegend(context, pane) {
  const size = textSize(pane);
  const [wide, high] = [Math.round(size * WIDTH), Math.round(size * HEIGHT)];
  const left = pane.width - size - (pane.bar ? 14 : 0) - wide;
  const top = pane.height - size * 4;
  for (let k = 0; k < STEPS; k += 1) {
    context.fillStyle = `rgb(${heat(k / (STEPS - 1)).join(" ")})`;
    context.fillRect(left + (k * wide) / STEPS, top, wide / STEPS + 0.5, high);
  }
  context.lineWidth = 1;
  context.strokeStyle = "#dfe6ee";
  context.strokeRect(left, top, wide, high);
  context.font = `${size}px system-ui, "DejaVu Sans", sans-serif`;
  context.textBaseline = "bottom";
  context.textAlign = "left";
  write(context, "Saliency: little", left - size * 4.5, top - 3);
  context.textAlign = "right";
  write(context, "much", left + wide, top - 3);
}
