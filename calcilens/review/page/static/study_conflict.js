// Two saved on one lesion: both are shown, and the reader decides.
import { ask } from "./dialog.js";
import { el } from "./dom.js";
import { ROWS, cells } from "./study_compare.js";
import { differences } from "./study_state.js";

const MINE = { commit: "Make mine the verdict", verdict: "Save mine over it", settle: "Save mine over it" };
const COMMITTED = " A committed answer stays as it is; yours can become the verdict.";

/**
 * Ask which of two answers is to stand.
 * @param {"commit"|"verdict"|"settle"} kind of what was to be saved
 * @param {{seq: number, answer: object, reader: string}} theirs what the server holds
 * @param {object} mine what this tab has
 * @param {string} me
 * @param {Map<string, string>} labels
 * @returns {Promise<"theirs"|"mine"|null>}
 */
export async function decide(kind, theirs, mine, me, labels) {
  const who = theirs.reader === me ? "you, in another tab or on another computer," : theirs.reader;
  const intro = el("p", {}, `Since this tab read the study, ${who} saved entry ${theirs.seq} on this lesion. Nothing of yours was saved over it.${kind === "commit" ? COMMITTED : ""}`);
  const differs = differences(theirs.answer, mine);
  const rows = Object.keys(ROWS).map((part) =>
    el("tr", { class: differs[part] ? "differs" : "" },
      el("th", { scope: "row", text: ROWS[part] }), ...cells(part, [theirs.answer, mine], labels, differs[part])));
  const head = el("tr", {}, el("td"), el("th", { scope: "col", text: `Saved: entry ${theirs.seq}` }), el("th", { scope: "col", text: "Here, not saved" }));
  const table = el("table", { class: "compare" }, el("thead", {}, head), el("tbody", {}, ...rows));
  return ask("Saved meanwhile", [intro, table], [
    { key: "mine", text: MINE[kind] },
    { key: "theirs", text: theirs.reader === me ? "Keep what is saved" : "Keep theirs", main: true },
  ]);
}
