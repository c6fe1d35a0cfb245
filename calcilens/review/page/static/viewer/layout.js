/** Which panes there are. */

import { Pane } from "./pane.js";
import { listenTo } from "./pointer.js";

/** Panes of a layout: [scene, plane] each; fewer where an image has no more to show. */
function wanted(viewer) {
  const { current, prior } = viewer.scenes;
  if (!current) return [];
  if (viewer.layout === "planes" && current.image.kind === "volume") {
    return ["axial", "coronal", "sagittal"].map((key) => [current, key]);
  }
  if (viewer.layout === "prior" && prior) return [[current, "axial"], [prior, "axial"]];
  return [[current, "axial"]];
}

/** Make the panes anew where they differ from those that are there. */
export function arrange(viewer) {
  const want = wanted(viewer);
  const same = want.length === viewer.panes.length && want.every(([scene, key], k) => (
    viewer.panes[k].scene === scene && viewer.panes[k].plane.key === key
  ));
  viewer.stage.dataset.panes = want.length;
  if (same) return;
  const focused = viewer.stage.contains(document.activeElement);
  viewer.panes.forEach((pane) => pane.close());
  viewer.panes = want.map(([scene, key]) => {
    const pane = new Pane(viewer, scene, key);
    viewer.stage.append(pane.element);
    listenTo(viewer, pane);
    return pane;
  });
  viewer.activate(viewer.panes[0] ?? null);
  if (focused) viewer.panes[0]?.canvas.focus({ preventScroll: true });
  viewer.panes.forEach((pane) => pane.resize());
}
