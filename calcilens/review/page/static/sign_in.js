// Sign in, then on to where the reader wanted to go, within this server.
import "./shell.js";
import { post } from "./api.js";
import { byId } from "./dom.js";

const form = byId("sign-in");

function target(fallback) {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  const address = next.startsWith("/") ? new URL(next, location.origin) : null;
  return address?.origin === location.origin ? address.pathname + address.search : fallback;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = byId("error");
  const send = form.querySelector("button[type=submit]");
  error.textContent = "";
  send.disabled = true;
  try {
    const { next } = await post("/api/sign-in", { name: byId("name").value.trim(), password: byId("password").value });
    location.assign(target(next));
  } catch (fault) {
    error.textContent = fault.message;
    send.disabled = false;
    byId("password").focus();
    byId("password").select();
  }
});
