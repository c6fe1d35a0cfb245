/** Window, move, zoom and scroll by dragging. A tool starts with a press and returns its drag. */

export function windowing(viewer, pane, x0, y0) {
  const { scene } = pane;
  const start = { ...scene.window };
  const gain = Math.max(0.5, scene.image.window.width / 400);
  scene.quick = true;
  return {
    move: (x, y) => scene.setWindow(start.center + (y - y0) * gain, start.width + (x - x0) * gain),
    end: () => {
      scene.quick = false;
      viewer.changed(scene);
    },
  };
}

export function panning(viewer, pane, x0, y0) {
  const [px, py] = pane.view.pan;
  return {
    move: (x, y) => {
      pane.view.pan = [px + x - x0, py + y - y0];
      pane.invalidate();
    },
    end: () => {},
  };
}

export function zooming(viewer, pane, x0, y0) {
  let last = y0;
  return {
    move: (x, y) => {
      pane.view.zoomAt(1.01 ** (last - y), [x0, y0], pane.width, pane.height);
      last = y;
      pane.invalidate();
    },
    end: () => {},
  };
}

/** About 12 pixels an image, fewer where there are many. */
export function scrolling(viewer, pane, x0, y0) {
  const start = pane.index;
  const step = Math.max(2, Math.min(12, pane.height / pane.plane.depth));
  return {
    move: (x, y) => viewer.scrollTo(pane, start + Math.round((y - y0) / step)),
    end: () => {},
  };
}
