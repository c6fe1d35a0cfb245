/** Scenes of a study's images: made when first shown, their pixels released when room is wanted. */

import { Film } from "./film.js";
import { Scene } from "./scene.js";
import { Volume } from "./volume.js";

/** Bytes of pixels that are kept: about five CT of 300 planes. */
const ROOM = 800 * 2 ** 20;

export class Store {
  /**
   * @param source {planes, film}
   * @param {(scene: Scene) => void} changed
   */
  constructor(source, changed) {
    this.source = source;
    this.changed = changed;
    this.scenes = new Map();
  }

  /** The scene of an image, which is kept longer than those shown before. */
  get(image, prior) {
    const key = `${prior ? "prior" : "current"}|${image.n}`;
    const scene = this.scenes.get(key) ?? this.make(image, prior);
    this.scenes.delete(key);
    this.scenes.set(key, scene);
    this.tidy();
    return scene;
  }

  make(image, prior) {
    let scene = null;
    const changed = () => scene && this.changed(scene);
    const fetched = image.kind === "film"
      ? (level, signal) => this.source.film(image, level, { prior, signal })
      : (z, count, signal) => this.source.planes(image, z, count, { prior, signal });
    const Pixels = image.kind === "film" ? Film : Volume;
    scene = new Scene(image, prior, new Pixels(image, fetched, changed), changed);
    return scene;
  }

  /** Release those not shown for longest; the last two always stay. */
  tidy() {
    const keys = [...this.scenes.keys()];
    let bytes = [...this.scenes.values()].reduce((sum, scene) => sum + scene.pixels.bytes, 0);
    for (const key of keys.slice(0, -2)) {
      if (bytes <= ROOM) return;
      bytes -= this.scenes.get(key).pixels.bytes;
      this.scenes.get(key).pixels.release();
      this.scenes.delete(key);
    }
  }

  clear() {
    this.scenes.forEach((scene) => scene.pixels.release());
    this.scenes.clear();
  }
}
