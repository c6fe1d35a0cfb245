// Tabs of the panel, as the ARIA authoring practices have them: arrows move, one is in the tab order.

/** The tabs inside an element; `current` is the name after "tab-". */
export class Tabs {
  constructor(panel, changed) {
    this.tabs = [...panel.querySelectorAll("[role=tab]")];
    this.current = "lesion";
    this.changed = changed;
    for (const tab of this.tabs) {
      tab.addEventListener("click", () => this.show(tab));
      tab.addEventListener("keydown", (event) => this.#key(event, tab));
    }
  }

  #key(event, tab) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = this.tabs[(this.tabs.indexOf(tab) + by + this.tabs.length) % this.tabs.length];
    this.show(next);
    next.focus();
  }

  show(chosen) {
    this.current = chosen.id.replace("tab-", "");
    for (const tab of this.tabs) {
      const is = tab === chosen;
      tab.setAttribute("aria-selected", String(is));
      tab.tabIndex = is ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !is;
    }
    this.changed();
  }
}
