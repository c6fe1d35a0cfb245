/** Mouse, pen and wheel on a pane: which tool they start, and what a click without a drag does. */

import { Pinch } from "./pinch.js";
import { boxing } from "./tools/box.js";
import { brushing } from "./tools/brush.js";
import { measuring } from "./tools/measure.js";
import { panning, scrolling, windowing, zooming } from "./tools/navigate.js";

export const TOOLS = {
  window: windowing, pan: panning, zoom: zooming, measure: measuring, box: boxing,
  brush: brushing(1), erase: brushing(0),
};
const DRAWS = new Set(["box", "brush", "erase"]);
const CLICK_PX = 3;
const WHEEL_PX = 60;

/** As in OHIF: the wheel's button moves, the right one zooms; shift and the left one scrolls. */
function toolOf(viewer, event) {
  if (event.button === 1) return "pan";
  if (event.button === 2) return "zoom";
  return event.shiftKey ? "scroll" : viewer.tool;
}

export function listenTo(viewer, pane) {
  const { canvas } = pane;
  let drag = null;
  const pinch = new Pinch(pane);
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const stop = (how) => {
    const { tool, moved, from } = drag;
    const [current] = [drag];
    drag = null;
    if (how === "cancel") current.cancel?.();
    else current.end();
    if (how !== "cancel" && moved <= CLICK_PX && !DRAWS.has(tool)) viewer.clicked(pane, ...from);
    viewer.invalidate();
  };
  canvas.addEventListener("pointerdown", (event) => {
    viewer.activate(pane);
    canvas.focus({ preventScroll: true });
    if (event.pointerType === "touch" && pinch.down(event.pointerId, place(event)) && drag) stop("cancel");
    if (drag || pinch.at.size > 1 || event.button > 2) return;
    event.preventDefault();
    const tool = toolOf(viewer, event);
    if (pane.scene.prior && DRAWS.has(tool)) return;
    const from = place(event);
    const started = (TOOLS[tool] ?? scrolling)(viewer, pane, ...from);
    if (!started) return;
    drag = { ...started, tool, from, moved: 0 };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (pinch.move(event.pointerId, place(event))) {
      pane.invalidate();
      return;
    }
    pane.hover = place(event);
    if (drag) {
      const [x, y] = pane.hover;
      drag.moved = Math.max(drag.moved, Math.hypot(x - drag.from[0], y - drag.from[1]));
      if (drag.moved > CLICK_PX || DRAWS.has(drag.tool)) drag.move(x, y);
    }
    pane.invalidate();
  });
  const lifted = (how) => (event) => {
    pinch.up(event.pointerId);
    if (drag) stop(how);
  };
  canvas.addEventListener("pointerup", lifted("end"));
  canvas.addEventListener("pointercancel", lifted("cancel"));
  canvas.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !drag) return;
    event.stopPropagation();
    stop("cancel");
  });
  canvas.addEventListener("pointerleave", () => {
    pane.hover = null;
    pane.invalidate();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("focus", () => viewer.activate(pane));
  canvas.addEventListener("wheel", wheel(viewer, pane, place), { passive: false });
}

/** One image a notch; with ctrl, and on a film, zoom at the pointer. */
function wheel(viewer, pane, place) {
  let sum = 0;
  return (event) => {
    event.preventDefault();
    const px = event.deltaY * (event.deltaMode === 0 ? 1 : 40);
    if (event.ctrlKey || pane.plane.depth === 1) {
      pane.view.zoomAt(1.0018 ** -px, place(event), pane.width, pane.height);
      pane.invalidate();
      return;
    }
    if (Math.abs(px) >= WHEEL_PX) sum = Math.sign(px) * Math.max(1, Math.round(Math.abs(px) / 120));
    else sum += px / WHEEL_PX;
    const steps = Math.trunc(sum);
    sum -= steps;
    if (steps) viewer.scrollTo(pane, pane.index + steps);
  };
}
