// Questions in a <dialog>: the browser keeps the focus inside and gives it back.
import { button, el } from "./dom.js";

/**
 * Ask, and wait for the answer.
 * @param {string} title
 * @param {(Node|string)[]} content
 * @param {{key: string, text: string, main?: boolean}[]} choices
 * @returns {Promise<string|null>} key of the choice; null where it was closed with Escape
 */
export function ask(title, content, choices) {
  return new Promise((answered) => {
    const heading = el("h2", { id: `dialog-${Date.now()}`, text: title });
    const row = el("div", { class: "row end" });
    const dialog = el("dialog", { "aria-labelledby": heading.id }, heading, ...content, row);
    for (const { key, text, main } of choices) {
      row.append(button(text, () => dialog.close(key), { class: main ? "main" : "", data: { choice: key } }));
    }
    dialog.addEventListener("close", () => {
      dialog.remove();
      answered(dialog.returnValue || null);
    });
    document.body.append(dialog);
    dialog.showModal();
    const field = dialog.querySelector("input:not([type=checkbox])");
    const main = row.querySelector(".main") ?? row.firstChild;
    field?.addEventListener("keydown", (event) => event.key === "Enter" && main.click());
    (field ?? main).focus({ preventScroll: true });
    dialog.scrollTop = 0;
  });
}

/** Ask for a line of text; null where it was not given. */
export async function askText(title, label, act) {
  const input = el("input", { id: "dialog-text", maxlength: "500" });
  const field = el("p", {}, el("label", { for: "dialog-text", text: label }), input);
  const choice = await ask(title, [field], [{ key: "no", text: "Cancel" }, { key: "yes", text: act, main: true }]);
  return choice === "yes" ? input.value.trim() : null;
}

/**
 * Ask before a study is given back, or taken from who holds it.
 * @param {string|null} holder somebody else
 */
export async function askRelease(holder = null) {
  const title = holder ? `End what ${holder} holds?` : "Release the study?";
  const text = "What was saved stays in the journal. Others may take the study.";
  const choices = [{ key: "no", text: "Cancel" }, { key: "yes", text: holder ? "End it" : "Release", main: true }];
  return (await ask(title, [text], choices)) === "yes";
}
