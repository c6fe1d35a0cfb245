// Readers: who may sign in. For administrators.
import { get, post } from "./api.js";
import { ask } from "./dialog.js";
import { button, byId, el, say } from "./dom.js";
import { keysOfPage } from "./shell.js";

const form = byId("add");
const body = byId("list").tBodies[0];

async function refresh() {
  const readers = await get("/api/readers");
  body.replaceChildren(...readers.map(row));
}

function row(reader) {
  const { name, role, active } = reader;
  return el("tr", {},
    el("th", { scope: "row", text: name }),
    el("td", { text: role }),
    el("td", { text: active ? "may sign in" : "shut out" }),
    el("td", {},
      button("New password", () => password(name), { "aria-label": `New password for ${name}` }),
      button(active ? "Shut out" : "Let in again", () => change(name, { active: !active }, active ? `${name} is shut out` : `${name} may sign in again`), {
        "aria-label": `${active ? "Shut out" : "Let in again"} ${name}`,
        disabled: name === document.body.dataset.name,
      })));
}

async function run(task, done) {
  say(byId("error"), "");
  say(byId("status"), "");
  try {
    await task();
    await refresh();
    say(byId("status"), done);
    byId("status").classList.toggle("done", Boolean(done));
    return true;
  } catch (fault) {
    say(byId("error"), fault.message);
    return false;
  }
}

const change = (name, what, done) => run(() => post(`/api/readers/${encodeURIComponent(name)}`, what), done);

async function password(name) {
  const input = el("input", { id: "new-password", type: "password", autocomplete: "new-password" });
  const field = el("p", {}, el("label", { for: "new-password", text: "12 characters or more, five of them different besides the name. It ends the sessions that are open." }), input);
  const choice = await ask(`New password for ${name}`, [field], [{ key: "no", text: "Cancel" }, { key: "set", text: "Set", main: true }]);
  if (choice === "set") await change(name, { password: input.value }, `${name} has a new password`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [name, role, secret] = ["name", "role", "password"].map((id) => byId(id).value);
  const added = await run(() => post("/api/readers", { name: name.trim(), role, password: secret }), `${name.trim()} was added`);
  if (added) form.reset();
});

keysOfPage([]);
run(refresh, "");
