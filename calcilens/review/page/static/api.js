// Requests to the server: what fails is said, what can be tried again is tried again.
import { sentence } from "./words.js";

const LONGEST_WAIT_S = 10;
const GONE = 401;
const BUSY = [429, 502, 503, 504];
const SIGN_IN = "/api/sign-in"; // too many tries are told at once

/** An answer that is none: its status, one line, and what the server holds where it differs. */
export class ApiError extends Error {
  constructor(status, message, current = null) {
    super(message);
    this.status = status;
    this.current = current;
  }
}

/** Says "lost" (detail: seconds until the next try, and why) and "back". */
export const connection = new EventTarget();
let lost = 0;

/** @returns {Promise<any>} */
export const get = (path) => request("GET", path);
/** @returns {Promise<any>} */
export const post = (path, body = {}) => request("POST", path, body);

/**
 * Ask the server, again and again while it cannot be reached. A save is tried again as well: the
 * server refuses a second one by its number, so nothing is saved twice.
 * @param {"json"|"buffer"} kind of answer
 * @param {AbortSignal} [signal] ends it where nobody waits for it any more
 */
export async function request(method, path, body, kind = "json", signal = undefined) {
  for (let tried = 0; ; tried += 1) {
    const response = await attempt(method, path, body, signal);
    if (response && (!BUSY.includes(response.status) || path === SIGN_IN)) {
      if (tried) back();
      return read(response, kind);
    }
    if (!tried) lost += 1;
    await wait(response, tried);
  }
}

async function attempt(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    headers["X-CSRF-Token"] = document.querySelector("meta[name=csrf-token]")?.content ?? "";
  }
  try {
    return await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", signal });
  } catch (fault) {
    if (fault instanceof TypeError) return null; // how fetch says that nobody answered
    throw fault;
  }
}

async function wait(response, tried) {
  const asked = Number(response?.headers.get("Retry-After")) || 0;
  const seconds = Math.max(asked, Math.min(2 ** tried, LONGEST_WAIT_S));
  const why = response ? "The server is busy." : "The connection to the server is lost.";
  connection.dispatchEvent(new CustomEvent("lost", { detail: { seconds, why } }));
  await new Promise((go) => setTimeout(go, 1000 * seconds));
}

function back() {
  lost -= 1;
  if (!lost) connection.dispatchEvent(new Event("back"));
}

async function read(response, kind) {
  if (response.ok && kind === "buffer") return response.arrayBuffer();
  let content = null;
  try {
    content = await response.json();
  } catch {
    if (response.ok) throw new ApiError(response.status, "The server's answer could not be read.");
  }
  if (response.ok) return content;
  if (response.status === GONE && location.pathname !== "/sign-in") {
    connection.dispatchEvent(new Event("signed-out"));
  }
  const line = content?.error ?? `The server answered ${response.status}, without saying why.`;
  throw new ApiError(response.status, sentence(line), content?.current ?? null);
}
