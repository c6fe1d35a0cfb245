/** Linked scrolling: the place of one study that corresponds to a place of the other. */

import { apply, inside, inverse } from "./geometry.js";

/** The link between two images; null where they are not registered. */
export function linkOf(prior, currentImage, priorImage) {
  const found = (prior?.links ?? []).find((link) => (
    link.image === currentImage.n && link.prior_image === priorImage.n
  ));
  return found?.matrix ? found : null;
}

/** The image of the prior to show beside an image: the registered one, else the first of its kind. */
export function partnerOf(prior, image) {
  if (!prior?.images?.length) return null;
  const link = (prior.links ?? []).find((one) => one.image === image.n && one.prior_image !== null);
  const linked = link && prior.images.find((one) => one.n === link.prior_image);
  return linked ?? prior.images.find((one) => one.kind === image.kind) ?? prior.images[0];
}

/** The voxel of the other scene's image where the place of a scene lies; whole, or in between. */
export function carried(link, from, to, whole = true) {
  const matrix = from.prior ? inverse(link.matrix) : link.matrix;
  const position = apply(matrix, apply(from.image.affine, from.point));
  const voxel = apply(inverse(to.image.affine), position);
  return whole ? inside(to.image, voxel) : voxel;
}

/**
 * Lay the other pane's image as the active one's: the same mm a pixel, turned alike, and the
 * place looked at in the same spot.
 */
export function align(panes, active, link) {
  const other = panes.find((pane) => pane !== active);
  if (!active?.width || !other?.width) return;
  const [from, to] = [active.view, other.view];
  const scale = from.scale(active.plane, active.width, active.height);
  to.turned = [...from.turned];
  to.zoom *= scale / to.scale(other.plane, other.width, other.height);
  const [x, y] = active.screenOf(active.scene.point);
  const [u, v] = other.screenOf(carried(link, active.scene, other.scene, false));
  const shift = [x - u, y - v];
  if (Math.hypot(...shift) < 0.01) return;
  to.pan = to.pan.map((value, k) => value + shift[k]);
  other.dirty = true;
}
