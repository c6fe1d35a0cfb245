// Elements made by script: text only through textContent, never through markup.

/**
 * Make an element.
 * @param {string} tag
 * @param {Object<string, any>} [has] attributes; `on` {event: handler}, `text`, and `data` {name: value}
 * @param {...(Node|string|null|false|undefined)} children
 * @returns {HTMLElement}
 */
export function el(tag, has = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(has)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
    else if (name === "text") made.textContent = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** A button with a name, what it does, and perhaps its key. */
export function button(text, run, has = {}) {
  return el("button", { type: "button", text, on: { click: run }, ...has });
}

/** Set text only where it differs, so that a screen reader is not told again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Replace what is in an element and give the focus back to the element of the same id or name.
 */
export function fill(element, ...children) {
  const kept = element.contains(document.activeElement) ? mark(document.activeElement) : null;
  element.replaceChildren(...children.filter(Boolean));
  if (kept) element.querySelector(kept)?.focus({ preventScroll: true });
}

function mark(active) {
  if (active.dataset.key) return `[data-key="${CSS.escape(active.dataset.key)}"]`;
  return active.id ? `#${CSS.escape(active.id)}` : null;
}

/** Whether letters typed now are text of the reader, not keys. */
export function typing(target) {
  if (target.closest?.("dialog")) return true;
  if (target.matches?.("textarea, select")) return true;
  return Boolean(target.matches?.("input:not([type=radio]):not([type=checkbox]):not([type=range])"));
}
