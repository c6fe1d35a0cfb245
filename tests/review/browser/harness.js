/** The viewer by itself, with pictures from the harness; what tests ask of it hangs on `window`. */

import { listen } from "/static/keys.js";
import { Viewer } from "/static/viewer/viewer.js";

const side = (how) => (how.prior ? "/prior" : "");
async function pixels(address, how) {
  const answer = await fetch(address, { signal: how.signal });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.arrayBuffer();
}
const json = async (address) => (await fetch(address)).json();

const viewer = new Viewer(document.getElementById("stage"), {
  planes: (image, z, count, how) => pixels(`${side(how)}/images/${image.n}/planes/${z}?count=${count}`, how),
  film: (image, level, how) => pixels(`${side(how)}/images/${image.n}/film?level=${level}`, how),
  mask: (lesion) => json(`/lesions/${lesion.id}/mask`),
  saliency: (lesion) => json(`/lesions/${lesion.id}/saliency`),
});
window.events = [];
for (const name of ["place", "drawn", "measured", "picked"]) {
  viewer.addEventListener(name, (event) => window.events.push([name, event.detail]));
}
listen((command) => viewer.command(command));
viewer.load(await json("/study"));
window.viewer = viewer;
