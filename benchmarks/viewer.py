"""Speed of the review page's viewer: from a key to the painted image.

python benchmarks/viewer.py [--planes 300] [--size 1280x800 3840x2160]

A made CT of 512 x 512 pixels a plane is scrolled through with the arrow key in Debian's Chromium,
which draws on the CPU here. The time runs from the key's own time stamp to the first task after
the frame in which the image was drawn, and, as the browser itself tells it (Event Timing, steps of
8 ms, those under 16 ms are not told), to the next paint. Layouts: one image, and three planes.

"canvas" is why the viewer draws with Canvas 2D: the same plane through a window to a pane of the
size, with Canvas 2D and with WebGL 2.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.review.browser.harness import Shown, serving
from tests.review.browser.pictures import Pictures
from tests.review.browser.site import browser as chromium

TIMED = """
window.times = [];
window.painted = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (one.name === "keydown") painted.push(one.duration);
}).observe({type: "event", durationThreshold: 16});
document.addEventListener("keydown", (event) => {
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => times.push(performance.now() - event.timeStamp);
    channel.port2.postMessage(0);
  });
}, true);
0
"""
CANVAS = """async ([width, height, gpu]) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  document.body.append(canvas);
  const size = 512;
  const values = new Int16Array(40 * size * size).map((_, k) => ((k * 7) % 3000) - 1000);
  const plane = (z) => values.subarray(z * size * size, (z + 1) * size * size);
  let draw;
  if (gpu) {
    const gl = canvas.getContext("webgl2");
    const program = gl.createProgram();
    const add = (kind, text) => {
      const shader = gl.createShader(kind);
      const precise = "precision highp float; precision highp isampler2D;";
      gl.shaderSource(shader, `#version 300 es\\n${precise}${text}`);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    };
    add(gl.VERTEX_SHADER, `out vec2 t; void main() {
      t = vec2(gl_VertexID & 1, gl_VertexID >> 1); gl_Position = vec4(t * 2. - 1., 0, 1); }`);
    add(gl.FRAGMENT_SHADER, `uniform isampler2D s; in vec2 t; out vec4 o;
      float f(ivec2 q) { return float(texelFetch(s, clamp(q, ivec2(0), ivec2(511)), 0).r); }
      void main() { vec2 q = t * 512. - .5; ivec2 a = ivec2(floor(q)); vec2 r = q - vec2(a);
        float v = mix(mix(f(a), f(a + ivec2(1, 0)), r.x),
                      mix(f(a + ivec2(0, 1)), f(a + ivec2(1, 1)), r.x), r.y);
        o = vec4(vec3((v + 1000.) / 3000.), 1); }`);
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.viewport((width - height) / 2, 0, height, height);
    draw = (z) => {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16I, size, size, 0, gl.RED_INTEGER, gl.SHORT, plane(z));
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    };
  } else {
    const {fillTable, paint} = await import("/static/viewer/lut.js");
    const table = fillTable(new Uint32Array(65536), {center: 500, width: 3000}, {signed: true});
    const context = canvas.getContext("2d", {alpha: false});
    const picture = new OffscreenCanvas(size, size);
    const inner = picture.getContext("2d", {willReadFrequently: true});
    const image = inner.createImageData(size, size);
    const pixels = new Uint32Array(image.data.buffer);
    draw = (z) => {
      paint(pixels, plane(z), 0, table);
      inner.putImageData(image, 0, 0);
      context.fillRect(0, 0, width, height);
      context.drawImage(picture, (width - height) / 2, 0, height, height);
    };
  }
  const times = [];
  for (let z = 0; z < 40; z += 1) {
    const start = performance.now();
    draw(z);
    await new Promise((done) => requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = done;
      channel.port2.postMessage(0);
    }));
    times.push(performance.now() - start);
  }
  canvas.remove();
  return times;
}"""


def figures(times: list[float]) -> str:
    """Return the median and the 95th percentile in words."""
    if not times:
        return "none"
    return f"median {np.median(times):.0f} ms, p95 {np.percentile(times, 95):.0f} ms"


def scrolled(page: Any, planes: int) -> tuple[list[float], list[float]]:
    """Press the arrow key through all planes; return times to the frame and to the paint (ms)."""
    shown = Shown(page, [])
    shown.press("Home")
    page.wait_for_timeout(300)
    page.evaluate("times.length = painted.length = 0")
    for _ in range(planes - 1):
        shown.press("ArrowDown")
    page.wait_for_timeout(300)
    assert page.evaluate("viewer.active.index") == planes - 1
    return page.evaluate("times"), page.evaluate("painted")


def main() -> None:
    """Print the figures of each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--planes", type=int, default=300)
    parser.add_argument("--size", nargs="+", default=["1280x800", "3840x2160"])
    given = parser.parse_args()
    pictures = Pictures(shape=(given.planes, 512, 512), spacing=(1.0, 0.7, 0.7))
    with serving(pictures) as address, chromium() as browser:
        for size in given.size:
            width, height = map(int, size.split("x"))
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(address)
            Shown(page, []).until("window.viewer?.scenes?.current?.pixels.progress === 1")
            page.evaluate(TIMED)
            for layout in ("stack", "planes"):
                page.evaluate(f"viewer.layout = '{layout}'")
                frame, paint = scrolled(page, given.planes)
                print(f"{size} {layout}: to the frame {figures(frame)}; ", end="")
                print(f"to the paint {figures(paint)} ({len(paint)} of {len(frame)} over 16 ms)")
            for gpu in (False, True):
                times = page.evaluate(CANVAS, [width, height, gpu])
                print(f"{size} canvas: {'WebGL 2' if gpu else 'Canvas 2D'} {figures(times)}")
            page.close()


if __name__ == "__main__":
    main()
