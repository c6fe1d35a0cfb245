"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const { codes, pictures, scenes } = JSON.parse(byId("payload").textContent);
  const canvas = byId("canvas"), pen = canvas.getContext("2d");
  const PRESETS = {
    ct: [["Mineral", 350, 1000], ["Soft tissue", 40, 400], ["Bone", 400, 1800], ["Lung", -600, 1500]],
    flat: [["As sent", 127.5, 255], ["Inverted", 127.5, -255], ["High contrast", 127.5, 128]],
  };
  const STOPS = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];
  const state = { id: null, plane: 0, level: 0, width: 1, close: true, box: true, heat: false, prior: false };
  const loaded = new Map();

  // A picture decoded to its grey values, once.
  function grey(name) {
    if (!loaded.has(name)) {
      loaded.set(name, new Promise((done, fail) => {
        const image = new Image();
        image.onload = () => {
          const sheet = new OffscreenCanvas(image.width, image.height);
          const ink = sheet.getContext("2d", { willReadFrequently: true });
          ink.drawImage(image, 0, 0);
          const rgba = ink.getImageData(0, 0, image.width, image.height).data;
          const values = new Uint8Array(image.width * image.height);
          for (let i = 0; i < values.length; i++) values[i] = rgba[4 * i];
          done({ values, width: image.width, height: image.height });
        };
        image.onerror = fail;
        image.src = pictures[name];
      }));
    }
    return loaded.get(name);
  }

  function between(x, from, to) {
    let i = 1;
    while (i < from.length - 1 && x > from[i]) i++;
    const part = (x - from[i - 1]) / (from[i] - from[i - 1]);
    return to[i - 1] + part * (to[i] - to[i - 1]);
  }

  // Grey level on screen of each of the 256 codes. A negative width inverts.
  function table(scene) {
    return Uint8ClampedArray.from({ length: 256 }, (_, code) => {
      const value = scene.ct ? between(code, codes.code, codes.hu) : code;
      return 255 * ((value - state.level) / state.width + 0.5);
    });
  }

  function painted(picture, colour) {
    const sheet = new OffscreenCanvas(picture.width, picture.height);
    const ink = sheet.getContext("2d"), out = ink.createImageData(picture.width, picture.height);
    picture.values.forEach((v, i) => out.data.set(colour(v), 4 * i));
    ink.putImageData(out, 0, 0);
    return sheet;
  }

  // Map from image pixels to a pane of the canvas: the whole image, or what surrounds the lesion.
  function view(scene, left, width) {
    const [x0, y0, x1, y1] = state.close || compared(scene) ? scene.close : [0, 0, ...scene.size];
    const scale = Math.min(width / (x1 - x0), canvas.height / ((y1 - y0) * scene.aspect));
    const sy = scale * scene.aspect;
    const dx = left + (width - (x1 - x0) * scale) / 2 - x0 * scale;
    const dy = (canvas.height - (y1 - y0) * sy) / 2 - y0 * sy;
    const place = (x, y, w, h) => [x * scale + dx, y * sy + dy, w * scale, h * sy];
    return { scale, place };
  }

  function compared(scene) { return state.prior && Boolean(scene.prior); }

  let turn = 0;
  async function draw() {
    if (!state.id) return;
    const mine = ++turn, scene = scenes[state.id], plane = scene.planes[state.plane];
    const [whole, close, map, before] = await Promise.all([
      grey(plane.whole), grey(plane.close), scene.saliency && grey(scene.saliency.picture),
      plane.prior && grey(plane.prior)]);
    if (mine !== turn) return;
    const shades = table(scene), colour = (v) => [shades[v], shades[v], shades[v], 255];
    const [cx0, cy0, cx1, cy1] = scene.close, half = canvas.width / 2;
    const [left, width] = compared(scene) ? [half, half] : [0, canvas.width];
    const { scale, place } = view(scene, left, width);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingQuality = "high";
    if (!compared(scene)) pen.drawImage(painted(whole, colour), ...place(0, 0, ...scene.size));
    pen.drawImage(painted(close, colour), ...place(cx0, cy0, cx1 - cx0, cy1 - cy0));
    if (state.heat && map && scene.saliency.planes.includes(plane.index)) drawHeat(scene, map, place);
    if (state.box) drawBox(scene, plane.index, place);
    if (compared(scene)) {
      const then = view(scene, 0, half).place;
      if (before) pen.drawImage(painted(before, colour), ...then(cx0, cy0, cx1 - cx0, cy1 - cy0));
      label(`Prior ${scene.prior.date}`, half / 2, 40, "center");
      label("Current", half * 1.5, 40, "center");
      pen.fillStyle = "#2b343d";
      pen.fillRect(half - 1, 0, 2, canvas.height);
    }
    drawLetters(scene);
    drawScale(scene, scale);
    say(scene, plane.index);
  }

  function drawHeat(scene, map, place) {
    const heat = (v) => {
      const at = (v / 255) * (STOPS.length - 1), i = Math.min(Math.floor(at), STOPS.length - 2);
      const mix = (c) => STOPS[i][c] + (at - i) * (STOPS[i + 1][c] - STOPS[i][c]);
      return [mix(0), mix(1), mix(2), Math.min(255, v * 2)];
    };
    const { origin, size } = scene.saliency;
    pen.globalAlpha = byId("opacity").value / 100;
    pen.drawImage(painted(map, heat), ...place(...origin, size, size));
    pen.globalAlpha = 1;
  }

  function drawBox(scene, index, place) {
    const [x0, y0, x1, y1] = scene.box, [first, stop] = scene.boxPlanes;
    const here = index >= first && index < stop;
    pen.strokeStyle = "#ffd60a";
    pen.lineWidth = here ? 2 : 1;
    pen.setLineDash(here ? [] : [5, 5]);
    const [x, y, w, h] = place(x0, y0, x1 - x0, y1 - y0), gap = Math.max(0, (9 - Math.min(w, h)) / 2);
    pen.strokeRect(x - gap - 1, y - gap - 1, w + 2 * gap + 2, h + 2 * gap + 2);
    pen.setLineDash([]);
  }

  function label(text, x, y, align) {
    pen.font = "600 15px system-ui, sans-serif";
    pen.textAlign = align;
    pen.lineWidth = 3;
    pen.strokeStyle = "#000";
    pen.strokeText(text, x, y);
    pen.fillStyle = "#ffffff";
    pen.fillText(text, x, y);
  }

  function drawLetters(scene) {
    if (!scene.letters) return;
    const { left, right, top, bottom } = scene.letters;
    label(left, 8, canvas.height / 2, "left");
    label(right, canvas.width - 8, canvas.height / 2, "right");
    label(top, canvas.width / 2, 20, "center");
    label(bottom, canvas.width / 2, canvas.height - 28, "center");
  }

  function drawScale(scene, scale) {
    if (!scene.mm) return;
    const perMm = scale / scene.mm, mm = [100, 50, 20, 10, 5, 2, 1].find((v) => v * perMm < 160) || 1;
    const x = canvas.width - 14, y = canvas.height - 14;
    pen.fillStyle = "#fff";
    pen.fillRect(x - mm * perMm, y, mm * perMm, 3);
    label(`${mm} mm`, x, y - 6, "right");
  }

  function say(scene, index) {
    const [first, stop] = scene.boxPlanes;
    const lesion = stop - first > 1 ? `lesion on ${first + 1}–${stop}` : `lesion on ${first + 1}`;
    const slice = scene.count > 1 ? `Slice ${index + 1} of ${scene.count}, ${lesion} · ` : "";
    const window = scene.ct ? `W ${Math.round(state.width)} L ${Math.round(state.level)} HU` : "";
    byId("where").textContent = slice + window;
  }

  function press(button, on) { button.setAttribute("aria-pressed", String(on)); }

  function preset(scene, i) {
    const list = scene.ct ? PRESETS.ct : PRESETS.flat;
    if (!list[i]) return;
    [, state.level, state.width] = list[i];
    [...byId("windows").children].forEach((b, k) => press(b, k === i));
    draw();
  }

  function presets(scene) {
    const list = scene.ct ? PRESETS.ct : PRESETS.flat;
    byId("windows").replaceChildren(...list.map(([name], i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.title = `Key ${i + 1}`;
      button.onclick = () => preset(scene, i);
      return button;
    }));
  }

  function pick(id) {
    const kind = state.id && scenes[state.id].ct, scene = scenes[id];
    state.id = id;
    state.plane = Math.max(0, scene.planes.findIndex((p) => p.index === scene.key));
    document.querySelectorAll("article").forEach((a) => { a.hidden = a.dataset.lesion !== id; });
    document.querySelectorAll(".pick, .mark, #all tr[data-lesion]").forEach((b) =>
      b.setAttribute("aria-current", String(b.dataset.lesion === id)));
    document.querySelectorAll(".views").forEach((v) => {
      v.hidden = ![...v.querySelectorAll(".mark")].some((m) => m.dataset.lesion === id);
    });
    const slice = byId("slice");
    slice.min = 0;
    slice.max = scene.planes.length - 1;
    slice.value = state.plane;
    byId("slice-row").hidden = scene.planes.length < 2;
    byId("prior").hidden = !scene.prior;
    byId("heat").disabled = byId("opacity").disabled = !scene.saliency;
    byId("heat").title = scene.saliency ? "Key S" : "No map is shown for this lesion; see Saliency";
    if (kind !== scene.ct) { presets(scene); preset(scene, 0); } else draw();
  }

  function scroll(steps) {
    const last = scenes[state.id].planes.length - 1;
    state.plane = Math.min(last, Math.max(0, state.plane + steps));
    byId("slice").value = state.plane;
    draw();
  }

  function toggle(name) {
    const button = byId(name === "close" ? "zoom" : name);
    if (button.disabled || button.hidden) return;
    state[name] = !state[name];
    press(byId(name === "close" ? "zoom" : name), state[name]);
    draw();
  }

  function next(steps) {
    const buttons = [...document.querySelectorAll(".pick")];
    const at = buttons.findIndex((b) => b.dataset.lesion === state.id);
    const button = buttons[at + steps];
    if (button) { pick(button.dataset.lesion); button.scrollIntoView({ block: "nearest" }); }
  }

  const KEYS = {
    ArrowUp: () => scroll(-1), ArrowDown: () => scroll(1), PageUp: () => scroll(-5), PageDown: () => scroll(5),
    z: () => toggle("close"), b: () => toggle("box"), p: () => toggle("prior"), s: () => toggle("heat"), j: () => next(1), k: () => next(-1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.type === "range") return;
    const number = Number(event.key);
    const act = number ? () => preset(scenes[state.id], number - 1) : KEYS[event.key];
    const scrolls = event.key.startsWith("Arrow") || event.key.startsWith("Page");
    if (!act || (scrolls && event.target !== canvas && event.target !== document.body)) return;
    event.preventDefault();
    act();
  });
  canvas.addEventListener("wheel", (event) => {
    if (scenes[state.id].planes.length < 2) return;
    event.preventDefault();
    scroll(Math.sign(event.deltaY));
  }, { passive: false });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    const unit = scenes[state.id].ct ? 3 : 1, sign = Math.sign(state.width);
    state.width = sign * Math.max(2, Math.abs(state.width) + unit * event.movementX);
    state.level += unit * event.movementY;
    [...byId("windows").children].forEach((b) => press(b, false));
    draw();
  });
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  byId("slice").oninput = (event) => { state.plane = Number(event.target.value); draw(); };
  byId("opacity").oninput = draw;
  byId("zoom").onclick = () => toggle("close");
  byId("box").onclick = () => toggle("box");
  byId("prior").onclick = () => toggle("prior");
  byId("heat").onclick = () => toggle("heat");
  document.querySelectorAll(".pick, .mark").forEach((b) => { b.onclick = () => pick(b.dataset.lesion); });
  document.querySelectorAll(".go").forEach((b) => {
    b.onclick = () => { pick(b.dataset.lesion); scrollTo({ top: 0 }); };
  });

  // #lesion=ID&heat=1&whole=1&prior=1&preset=2 opens the page at a place, for links in a worklist.
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (wanted.has("heat")) toggle("heat");
  if (wanted.has("whole")) toggle("close");
  pick(scenes[wanted.get("lesion")] ? wanted.get("lesion") : Object.keys(scenes)[0]);
  if (wanted.has("prior")) toggle("prior");
  if (wanted.has("preset")) preset(scenes[state.id], Number(wanted.get("preset")) - 1);
})();
