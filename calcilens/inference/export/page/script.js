"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const { codes, dates, pictures, scenes } = JSON.parse(byId("payload").textContent);
  const canvas = byId("canvas"), pen = canvas.getContext("2d");
  const PRESETS = {
    ct: [["Mineral", 350, 1000], ["Soft tissue", 40, 400], ["Bone", 400, 1800], ["Lung", -600, 1500]],
    flat: [["As sent", 127.5, 255], ["Inverted", 127.5, -255], ["High contrast", 127.5, 128]],
  };
  const STOPS = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];
  const state = { id: null, plane: 0, level: 0, width: 1, close: true, box: true, heat: false, prior: true };
  const loaded = new Map();
  document.documentElement.classList.add("live");

  // A picture decoded, once, to its grey values and where there are any (alpha).
  function grey(name) {
    if (!loaded.has(name)) {
      loaded.set(name, new Promise((done, fail) => {
        const image = new Image();
        image.onload = () => {
          const sheet = new OffscreenCanvas(image.width, image.height);
          const ink = sheet.getContext("2d", { willReadFrequently: true });
          ink.drawImage(image, 0, 0);
          const rgba = ink.getImageData(0, 0, image.width, image.height).data;
          const every = (first) => Uint8Array.from({ length: rgba.length / 4 }, (_, i) => rgba[4 * i + first]);
          done({ values: every(0), alpha: every(3), width: image.width, height: image.height });
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
    picture.values.forEach((v, i) => out.data.set(colour(v, picture.alpha[i]), 4 * i));
    ink.putImageData(out, 0, 0);
    return sheet;
  }

  function compared(scene) { return state.prior && scene.prior; }

  // Map from image pixels to a pane: the whole image, or what surrounds the lesion. Of two panes,
  // each is filled as far as the lesion's box leaves room.
  function view(scene, pane) {
    const [x0, y0, x1, y1] = state.close || compared(scene) ? scene.close : [0, 0, ...scene.size];
    const [bx0, by0, bx1, by1] = scene.box, flat = pane.height / scene.aspect;
    const fit = Math.min(pane.width / (x1 - x0), flat / (y1 - y0));
    const fill = Math.min(Math.max(pane.width / (x1 - x0), flat / (y1 - y0)),
      pane.width / (1.5 * (bx1 - bx0)), flat / (1.5 * (by1 - by0)));
    const scale = compared(scene) ? Math.max(fit, fill) : fit, sy = scale * scene.aspect;
    const [mx, my] = scale > fit ? [bx0 + bx1, by0 + by1] : [x0 + x1, y0 + y1];
    const dx = pane.left + (pane.width - mx * scale) / 2, dy = (pane.height - my * sy) / 2;
    const place = (x, y, w, h) => [x * scale + dx, y * sy + dy, w * scale, h * sy];
    return { scale, place };
  }

  // The canvas in CSS pixels, drawn as sharp as the screen is.
  function sheet() {
    const { clientWidth: width, clientHeight: height } = canvas, sharp = devicePixelRatio || 1;
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(height * sharp);
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    pen.imageSmoothingQuality = "high";
    return { left: 0, width, height };
  }

  let turn = 0;
  async function draw() {
    if (!state.id) return;
    const mine = ++turn, scene = scenes[state.id], plane = scene.planes[state.plane];
    const [whole, close, map, before] = await Promise.all([
      grey(plane.whole), grey(plane.close), scene.saliency && grey(scene.saliency.picture),
      plane.prior && grey(plane.prior)]);
    if (mine !== turn) return;
    const shades = table(scene), colour = (v, alpha) => [shades[v], shades[v], shades[v], alpha];
    const all = sheet(), half = { ...all, width: all.width / 2 };
    const now = { scene, plane, close: painted(close, colour), map };
    if (compared(scene)) {
      drawPane({ ...now, close: painted(before, colour), map: null }, half, `Prior ${dates.then}`);
      drawPane(now, { ...half, left: half.width }, `Current ${dates.now}`);
      pen.fillStyle = "#2b343d";
      pen.fillRect(half.width - 1, 0, 2, all.height);
      if (before.alpha.includes(0)) label("Hatched: outside the prior scan", half.width / 2, 64, "center");
    } else drawPane({ ...now, whole: painted(whole, colour) }, all, "");
    say(scene, plane);
  }

  function drawPane({ scene, plane, whole, close, map }, pane, name) {
    const { scale, place } = view(scene, pane), [x0, y0, x1, y1] = scene.close;
    const around = place(x0, y0, x1 - x0, y1 - y0);
    pen.save();
    pen.beginPath();
    pen.rect(pane.left, 0, pane.width, pane.height);
    pen.clip();
    if (whole) pen.drawImage(whole, ...place(0, 0, ...scene.size)); else hatch(around);
    pen.drawImage(close, ...around);
    if (state.heat && map && scene.saliency.planes.includes(plane.index)) drawHeat(scene, map, place);
    if (state.box) drawBox(scene, plane.index, place);
    drawLetters(scene, pane);
    label(name, pane.left + pane.width / 2, 42, "center");
    drawScale(scene, scale, pane);
    pen.restore();
  }

  function hatch([x, y, width, height]) {
    pen.strokeStyle = "#4a5560";
    pen.lineWidth = 1;
    pen.beginPath();
    for (let at = 0; at < width + height; at += 10) {
      pen.moveTo(x + Math.min(at, width), y + Math.max(0, at - width));
      pen.lineTo(x + Math.max(0, at - height), y + Math.min(at, height));
    }
    pen.stroke();
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

  function drawLetters(scene, { left: x, width, height }) {
    if (!scene.letters) return;
    const { left, right, top, bottom } = scene.letters;
    label(left, x + 8, height / 2, "left");
    label(right, x + width - 8, height / 2, "right");
    label(top, x + width / 2, 20, "center");
    label(bottom, x + width / 2, height - 30, "center");
  }

  function drawScale(scene, scale, pane) {
    if (!scene.mm) return;
    const perMm = scale / scene.mm, mm = [100, 50, 20, 10, 5, 2, 1].find((v) => v * perMm < pane.width / 4) || 1;
    const x = pane.left + pane.width - 14, y = pane.height - 14;
    pen.fillStyle = "#fff";
    pen.fillRect(x - mm * perMm, y, mm * perMm, 3);
    label(`${mm} mm`, x, y - 6, "right");
  }

  function say(scene, { index, number }) {
    const [first, stop] = scene.boxPlanes;
    const lesion = stop - first > 1 ? `lesion on ${first + 1}–${stop}` : `lesion on ${first + 1}`;
    const known = number === null ? "" : ` (image ${number})`;
    const slice = scene.count > 1 ? `Slice ${index + 1} of ${scene.count}${known}, ${lesion} · ` : "";
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
    document.querySelectorAll(".views:not(.films)").forEach((v) => {
      v.hidden = ![...v.querySelectorAll(".mark")].some((m) => m.dataset.lesion === id);
    });
    const slice = byId("slice");
    slice.min = 0;
    slice.max = scene.planes.length - 1;
    slice.value = state.plane;
    byId("slice-row").hidden = scene.planes.length < 2;
    byId("prior").hidden = !scene.prior;
    arrange(scene);
    byId("heat").disabled = byId("opacity").disabled = !scene.saliency;
    byId("heat").title = scene.saliency ? "Key S" : "No map is shown for this lesion; see Saliency";
    if (kind !== scene.ct) { presets(scene); preset(scene, 0); } else draw();
  }

  // The prior is there close up only, so beside it there is nothing to choose.
  function arrange(scene) {
    byId("zoom").disabled = compared(scene);
    byId("zoom").title = compared(scene) ? "Prior and current are shown close up" : "Key Z";
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
    press(button, state[name]);
    if (state.id) arrange(scenes[state.id]);
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
  new ResizeObserver(draw).observe(canvas);
  document.querySelectorAll(".go").forEach((b) => {
    b.onclick = () => { pick(b.dataset.lesion); scrollTo({ top: 0 }); };
  });

  // #lesion=ID&heat=1&whole=1&alone=1&preset=2 opens the page at a place, for links in a worklist.
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (wanted.has("heat")) toggle("heat");
  if (wanted.has("whole")) toggle("close");
  if (wanted.has("alone") || wanted.has("whole")) state.prior = false;
  press(byId("prior"), state.prior);
  pick(scenes[wanted.get("lesion")] ? wanted.get("lesion") : Object.keys(scenes)[0]);
  if (wanted.has("preset")) preset(scenes[state.id], Number(wanted.get("preset")) - 1);
})();
