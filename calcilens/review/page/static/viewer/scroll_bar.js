/** The bar at the right edge of a pane: where in the stack, dragged or moved by arrow keys. */

export class ScrollBar {
  constructor(pane) {
    this.pane = pane;
    this.track = document.createElement("div");
    this.track.className = "vw-bar";
    this.track.tabIndex = 0;
    for (const [name, value] of Object.entries({
      role: "slider", "aria-orientation": "vertical", "aria-valuemin": 1,
      "aria-valuemax": pane.plane.depth, "aria-label": `Place in the stack, ${pane.plane.key}`,
    })) this.track.setAttribute(name, value);
    this.thumb = document.createElement("div");
    this.track.append(this.thumb);
    pane.element.append(this.track);
    this.track.addEventListener("pointerdown", (event) => this.press(event));
    this.track.addEventListener("pointermove", (event) => {
      if (this.track.hasPointerCapture(event.pointerId)) this.go(event);
    });
    this.track.addEventListener("keydown", (event) => this.key(event));
  }

  show() {
    const { index, plane } = this.pane;
    if (this.shown === index) return;
    this.shown = index;
    this.thumb.style.top = `${(100 * index) / Math.max(1, plane.depth - 1)}%`;
    this.track.setAttribute("aria-valuenow", index + 1);
    this.track.setAttribute("aria-valuetext", `${index + 1} of ${plane.depth}`);
  }

  press(event) {
    this.track.setPointerCapture(event.pointerId);
    this.pane.viewer.activate(this.pane);
    this.go(event);
  }

  go(event) {
    const box = this.track.getBoundingClientRect();
    const share = (event.clientY - box.top) / box.height;
    this.pane.viewer.scrollTo(this.pane, Math.round(share * (this.pane.plane.depth - 1)));
  }

  key(event) {
    const { viewer, index, plane } = this.pane;
    const steps = {
      ArrowUp: index - 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowRight: index + 1,
      PageUp: index - 10, PageDown: index + 10, Home: 0, End: plane.depth - 1,
    };
    if (!(event.key in steps) || event.ctrlKey) return;
    event.preventDefault();
    viewer.scrollTo(this.pane, steps[event.key]);
  }
}
