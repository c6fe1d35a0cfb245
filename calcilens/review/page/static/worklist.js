// The worklist: what is there to read, and taking it.
import { get, post } from "./api.js";
import { askRelease, askText } from "./dialog.js";
import { byId, el, say, typing } from "./dom.js";
import { lettersOn } from "./keys.js";
import { WORKLIST_KEYS, pressed } from "./panel_keys.js";
import { keysOfPage } from "./shell.js";
import { plural } from "./words.js";
import { chosen, fromAddress, sorted, toAddress } from "./worklist_order.js";
import { address, show } from "./worklist_rows.js";

const FRESH_MS = 15_000;
const SOON_MS = 2000;
const PARTS = ["done", "disputed", "waiting", "reading", "new"];
const filters = byId("filters");
const list = byId("list");
let view = fromAddress(location.search);
let worklist = null;

async function refresh() {
  try {
    worklist = await get("/api/worklist");
    say(byId("error"), "");
    draw();
    if (worklist.unread) setTimeout(refresh, SOON_MS);
  } catch (fault) {
    say(byId("error"), `The worklist could not be read: ${fault.message}`);
  }
}

function draw() {
  progress(worklist.progress);
  const { blinded, readers } = worklist.mode;
  const hidden = "Blinded reading: what the model says of a study is not shown until you have committed your answers on it.";
  say(byId("mode"), `${blinded ? hidden : "Not blinded: the model's answers are shown at once."} ${plural(readers, "reader")} a study.`);
  broken(worklist.broken);
  modalities();
  const studies = chosen([...worklist.studies], view);
  show(list.tBodies[0], studies, act);
  heads();
  const unread = worklist.unread ? `; ${plural(worklist.unread, "report")} still to be read` : "";
  say(byId("shown"), `${studies.length} of ${plural(worklist.studies.length, "study", "studies")}${unread}`);
  say(byId("status"), `${plural(studies.length, "study", "studies")} shown`);
  empty(studies.length);
  byId("next").disabled = !worklist.studies.some((study) => study.can.includes("take"));
}

function progress(counts) {
  const total = counts.total || 1;
  const bar = PARTS.filter((part) => part !== "new" && counts[part]).map((part) => {
    const piece = el("span", { class: part });
    piece.style.width = `${(100 * counts[part]) / total}%`;
    return piece;
  });
  byId("progress").replaceChildren(...bar);
  const told = PARTS.filter((part) => part !== "done" && counts[part]).map((part) => `${counts[part]} ${part}`);
  say(byId("progress-text"), `${counts.done} of ${plural(counts.total, "study", "studies")} done${told.length ? `: ${told.join(", ")}` : ""}`);
}

/** Reports that cannot be used are told, so that no study is missing without a word. */
function broken(reports) {
  const box = byId("broken");
  box.hidden = !reports.length;
  say(box.firstElementChild, `${plural(reports.length, "report")} cannot be used and ${reports.length === 1 ? "is" : "are"} not in this list`);
  box.lastElementChild.replaceChildren(...reports.map(({ why }) => el("li", { text: why })));
}

function modalities() {
  const select = filters.elements.modality;
  const known = [...new Set(worklist.studies.flatMap((study) => study.modalities))].sort();
  if (known.join() === select.dataset.known) return;
  select.dataset.known = known.join();
  select.replaceChildren(el("option", { value: "", text: "all" }), ...known.map((one) => el("option", { text: one })));
  select.value = view.modality;
}

function heads() {
  for (const th of list.querySelectorAll("[data-sort]")) {
    const current = th.dataset.sort === view.sort;
    if (current) th.setAttribute("aria-sort", view.way === "up" ? "ascending" : "descending");
    else th.removeAttribute("aria-sort");
  }
}

function empty(shown) {
  const box = byId("empty");
  box.hidden = shown > 0;
  list.hidden = shown === 0;
  if (shown) return;
  const none = "There are no studies yet. Reports of `calcilens predict` in the folder given to `calcilens review --reports` appear here.";
  say(box, worklist.studies.length ? "No study passes these filters. “Show all” takes them away." : none);
}

async function act(action, study) {
  try {
    if (action === "open") return void location.assign(address(study));
    let body = {};
    if (action === "reopen") {
      const reason = await askText("Reopen the study", "Why? It takes the signature back and stays in the journal.", "Reopen");
      if (!reason) return;
      body = { reason };
    }
    if (action === "release" && !(await askRelease())) return;
    if (action === "end") return void (await endHolds(study));
    await post(`/api${address(study)}/${action}`, body);
    if (action === "take") return void location.assign(address(study));
    say(byId("error"), "");
  } catch (fault) {
    say(byId("error"), fault.message);
  }
  await refresh();
}

/** Take a study from who holds it, each after a question. */
async function endHolds(study) {
  for (const holder of study.holders.filter((name) => name !== worklist.me.name)) {
    if (await askRelease(holder)) await post(`/api${address(study)}/release`, { holder });
  }
  await refresh();
}

function changed(next) {
  view = next;
  history.replaceState(null, "", toAddress(view));
  if (worklist) draw();
}

function fromForm() {
  const { state, modality, mine, search } = filters.elements;
  changed({ ...view, state: state.value, modality: modality.value, mine: mine.checked ? "1" : "", search: search.value });
}

function toForm() {
  const { state, modality, mine, search } = filters.elements;
  [state.value, modality.value, mine.checked, search.value] = [view.state, view.modality, Boolean(view.mine), view.search];
}

function step(by) {
  const all = [...list.tBodies[0].rows];
  const at = all.indexOf(document.activeElement?.closest("tr"));
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  next?.querySelector("[data-key=open]")?.focus();
}

const COMMANDS = {
  down: () => step(1),
  up: () => step(-1),
  search: () => filters.elements.search.focus(),
  take: () => current("take"),
  open: () => current("open"),
};

function current(action) {
  const uid = document.activeElement?.closest("tr")?.dataset.study;
  const study = worklist?.studies.find((one) => one.study_uid === uid);
  if (study?.can.includes(action)) act(action, study);
}

document.addEventListener("keydown", (event) => {
  if (typing(event.target) || event.target.matches?.("button, a") && event.key === "Enter") return;
  const found = WORKLIST_KEYS.find(({ keys }) => keys.includes(pressed(event)));
  if (!found || (found.keys.includes(event.key) && event.key.length === 1 && !lettersOn())) return;
  event.preventDefault();
  COMMANDS[found.command]();
});
filters.addEventListener("input", fromForm);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(fromForm));
list.tHead.addEventListener("click", (event) => {
  const th = event.target.closest("[data-sort]");
  if (th) changed(sorted(view, th.dataset.sort));
});
byId("next").addEventListener("click", () => {
  const order = chosen([...worklist.studies], { ...view, state: "", search: "", mine: "" });
  const study = order.find((one) => one.can.includes("take"));
  if (study) act("take", study);
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), FRESH_MS);
keysOfPage(WORKLIST_KEYS);
toForm();
refresh();
