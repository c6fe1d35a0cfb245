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

/** The voxel of the other scene's image where the place of a scene lies. */
export function carried(link, from, to) {
  const matrix = from.prior ? inverse(link.matrix) : link.matrix;
  const position = apply(matrix, apply(from.image.affine, from.point));
  return inside(to.image, apply(inverse(to.image.affine), position));
}
