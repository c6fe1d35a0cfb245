// The page on which one study is read.
import { ApiError } from "./api.js";
import { button, byId, el, fill, say } from "./dom.js";
import { KEYS, lettersOn, listen, taken } from "./keys.js";
import { PANEL_KEYS, pressed } from "./panel_keys.js";
import { keysOfPage } from "./shell.js";
import { Actions } from "./study_actions.js";
import { drawFacts, drawHistory } from "./study_facts.js";
import { labels } from "./study_form.js";
import { guidance } from "./study_guidance.js";
import { drawList } from "./study_list.js";
import { Outline } from "./study_outline.js";
import { LesionPart } from "./study_part.js";
import { Session } from "./study_session.js";
import { sourceOf } from "./study_source.js";
import { NEW, outlines, phase } from "./study_state.js";
import { Tabs } from "./study_tabs.js";
import { Toolbar } from "./study_toolbar.js";
import { Viewer } from "./viewer/viewer.js";

const READY_MS = 1000;
const NOT_OPEN = 403;
const GONE = "It is no longer yours to read: it was released, or predicted anew. What you saved stays in the journal. A new report is read anew.";
const me = document.body.dataset.name;
const names = labels();
const session = new Session(decodeURIComponent(location.pathname.split("/")[2]), me);
session.source = sourceOf(session.base);
const viewer = new Viewer(byId("viewer"), session.source);
const failed = (text) => say(byId("failed"), text);
const outline = new Outline(viewer, session, failed);
const part = new LesionPart(byId("part-lesion"), session, names, outline);
const at = { lesion: byId("lesion-actions"), study: byId("study-actions"), failed: byId("failed") };
const actions = new Actions(at, session, part, names, me);
const tabs = new Tabs(byId("panel"), () => timed());
let shown = null;

function draw() {
  const { study, lesion } = session;
  const inPanel = byId("panel").contains(document.activeElement);
  drawFacts(byId("facts"), study);
  drawList(byId("lesions"), session);
  part.draw();
  actions.draw();
  fill(byId("part-guidance"), ...guidance(study, lesion));
  drawHistory(byId("part-history"), study);
  if (inPanel && document.activeElement === document.body) byId("part-lesion").focus({ preventScroll: true });
  timed();
  images();
}

function timed() {
  const { study, lesion, chosen } = session;
  const step = tabs.current !== "lesion" ? tabs.current : chosen === NEW ? "add" : lesion ? phase(study, lesion) : "overview";
  session.time.turn(step, lesion?.id ?? (chosen === NEW ? NEW : null));
}

/** Give the viewer the study when its images are ready, and go to the lesion chosen. */
function images() {
  const { study, lesion } = session;
  const { ready, done, total, error } = study.ready;
  const wait = total ? `The images are being read: ${done} of ${total}.` : "The images are being read.";
  say(byId("viewer-note"), error ? `There are no images of this study: ${error}` : (ready ? "" : wait));
  if (error) return;
  if (!ready) return void setTimeout(() => session.load().catch(refused), READY_MS);
  const key = JSON.stringify([study.study.report, study.lesions.map((one) => [one.id, one.revealed])]);
  if (key !== shown) viewer.load(study);
  shown = key;
  if (lesion && lesion.id !== viewed) viewer.show({ lesion: lesion.id });
  viewed = lesion?.id ?? null;
  drawn();
}
let viewed = null;

/** Show what was drawn on the lesion: as it stands in the form, as it was saved, and others'. */
function drawn() {
  viewer.outlines.set(outlines(session.lesion, part.form?.outline ?? null, part.form?.place ?? null));
}

const COMMANDS = {
  "next-lesion": () => session.step(1),
  "previous-lesion": () => session.step(-1),
  "next-open": () => actions.nextLesion(),
  missed: () => session.study.can.includes("add") && session.study.images.length && actions.missed(),
  calcified: () => part.form?.choose("yes"),
  "not-calcified": () => part.form?.choose("no"),
  agree: () => actions.agree(),
  keep: () => actions.keep(),
  change: () => actions.change(),
  save: () => actions.save(),
  sign: () => actions.sign(),
  leave: () => byId("viewer").querySelector("[tabindex='0'], canvas")?.focus(),
};

function said({ text, done }) {
  say(byId("saved"), text);
  byId("saved").classList.toggle("done", done);
}

function onKey(event) {
  const key = pressed(event);
  const always = key.startsWith("ctrl+") || key === "Escape";
  if (document.querySelector("dialog[open]") || (!always && (taken(event) || !lettersOn()))) return;
  const found = PANEL_KEYS.find(({ keys }) => keys.includes(key));
  if (!found) return;
  event.preventDefault();
  COMMANDS[found.command]();
}

function refused(fault) {
  if (!(fault instanceof ApiError)) throw fault;
  document.body.className = "refused";
  const back = el("a", { href: "/worklist", text: "Go to the worklist" });
  const take = button("Take the study", () => session.save("/take", {}).then(() => location.reload(), refused));
  byId("main").replaceChildren(el("section", { class: "card narrow" }, el("h1", { text: "This study is not shown" }), el("p", { text: fault.message }), el("div", { class: "row" }, fault.status === NOT_OPEN && document.body.dataset.role !== "administrator" && take, back)));
}

session.addEventListener("change", draw);
session.addEventListener("chosen", () => failed(""));
session.addEventListener("draft", () => {
  drawList(byId("lesions"), session);
  drawn();
  said({ text: "Entered, not saved yet", done: false });
  failed("");
});
session.addEventListener("saved", ({ detail }) => said(detail));
viewer.addEventListener("picked", (event) => {
  const id = event.detail.lesion;
  if (id && id !== session.chosen && session.chosen !== NEW) session.choose(id);
});
addEventListener("beforeunload", (event) => {
  const open = ["reading", "settling"].includes(session.study?.mine);
  if (open && session.drafts.lesions().length) event.preventDefault();
});
document.addEventListener("keydown", onKey);
listen((command) => viewer.command(command));
session.addEventListener("gone", () => refused(new ApiError(NOT_OPEN, GONE)));
session.addEventListener("closed", () => location.assign("/worklist"));
new Toolbar(byId("toolbar"), viewer, session);
keysOfPage([...PANEL_KEYS, ...KEYS]);
session.load().catch(refused);
