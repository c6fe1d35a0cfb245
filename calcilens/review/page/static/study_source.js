// Where the viewer gets its pixels, masks and maps from.
import { get, request } from "./api.js";

/** @param {string} base /api/studies/{uid} */
export function sourceOf(base) {
  const at = (image, prior) => `${base}${prior ? "/prior" : ""}/images/${image.n ?? image}`;
  const lesionAt = (lesion) => `${base}/lesions/${encodeURIComponent(lesion.id ?? lesion)}`;
  return {
    planes: (image, z, count = 1, { prior = false, signal } = {}) =>
      request("GET", `${at(image, prior)}/planes/${z}?count=${count}`, undefined, "buffer", signal),
    film: (image, level = 0, { prior = false, signal } = {}) =>
      request("GET", `${at(image, prior)}/film?level=${level}`, undefined, "buffer", signal),
    mask: (lesion) => get(`${lesionAt(lesion)}/mask`),
    saliency: (lesion) => get(`${lesionAt(lesion)}/saliency`),
    drawn: (sha256) => get(`${base}/masks/${sha256}`),
  };
}
