// What every page has: sign out, keys, and what is said when the server cannot be reached.
import { connection, post } from "./api.js";
import { byId, el, typing } from "./dom.js";
import { ask } from "./dialog.js";
import { showHelp } from "./help.js";

let ticking = 0;

function lost({ detail: { seconds, why } }) {
  clearInterval(ticking);
  let left = Math.round(seconds);
  const count = el("span", { "aria-hidden": "true", text: ` Trying again in ${left} s.` }); // not read out each second
  const banner = byId("connection");
  if (banner.hidden) banner.replaceChildren(`${why} What you entered is kept; it is tried again until it works.`, count);
  else banner.lastElementChild.replaceWith(count);
  banner.hidden = false;
  ticking = setInterval(() => {
    left -= 1;
    count.textContent = left > 0 ? ` Trying again in ${left} s.` : " Trying again …";
    if (left <= 0) clearInterval(ticking);
  }, 1000);
}

function back() {
  clearInterval(ticking);
  byId("connection").hidden = true;
}

let asked = false;
async function signedOut() {
  if (asked) return;
  asked = true;
  const text = "You are signed out. What you entered in this tab is kept until you sign in again.";
  await ask("Signed out", [text], [{ key: "go", text: "Sign in", main: true }]);
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

async function signOut() {
  try {
    await post("/api/sign-out");
  } finally {
    location.assign("/sign-in");
  }
}

/** Show these keys on `?` and on the button. */
export function keysOfPage(keys) {
  byId("help").hidden = keys.length === 0;
  byId("help").addEventListener("click", () => showHelp(keys));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || typing(event.target)) return;
    event.preventDefault();
    showHelp(keys);
  });
}

connection.addEventListener("lost", lost);
connection.addEventListener("back", back);
connection.addEventListener("signed-out", signedOut);
byId("sign-out")?.addEventListener("click", signOut);
