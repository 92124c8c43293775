// The server's JSON interface: one function per call; every refusal becomes an ApiError that says what to do.

import { t, told } from "./texts.js";

const HEADER = "realtime-dub"; // another site's form cannot send it: the server takes it as a sign of this page
const ASK_MS = 3000; // for what is tried again: an answer that is lost on the way never comes
let token = takeToken();

export class ApiError extends Error {
  constructor(status, what, todo, retryAfterS = 0) {
    super(what);
    Object.assign(this, { status, what, do: todo, retryAfterS });
  }
}

// The token leaves the address at once: addresses end up in histories and screenshots.
function takeToken() {
  const address = new URL(location.href);
  const given = address.searchParams.get("token") ?? new URLSearchParams(address.hash.slice(1)).get("token");
  if (given !== null) {
    address.searchParams.delete("token");
    address.hash = "";
    history.replaceState(null, "", address);
  }
  try {
    if (given !== null) sessionStorage.setItem("token", given);
    return sessionStorage.getItem("token") ?? "";
  } catch {
    return given ?? "";
  }
}

export function useToken(value) {
  token = value.trim();
  try { sessionStorage.setItem("token", token); } catch { /* storage refused: it holds until the page is left */ }
}

function headers(extra = {}) {
  const common = { "X-Requested-With": HEADER, ...extra };
  return token ? { ...common, Authorization: `Bearer ${token}` } : common;
}

async function call(method, path, { json, body, keepalive = false, timeoutMs = 20_000 } = {}) {
  const sent = json === undefined ? body : JSON.stringify(json);
  const type = json === undefined ? {} : { "Content-Type": "application/json" };
  const signal = keepalive ? undefined : AbortSignal.timeout(timeoutMs);
  let answer;
  try {
    answer = await fetch(path, { method, headers: headers(type), body: sent, keepalive, signal });
  } catch {
    throw new ApiError(0, t("api.no_answer"), t("api.no_answer.do"));
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

// An answer that goes on and on, until `signal` ends it.
export async function stream(path, signal) {
  const answer = await fetch(path, { headers: headers(), signal });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  let body = {};
  try { body = await answer.json(); } catch { /* no JSON: the status has to do */ }
  const error = words(body);
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  if (answer.status === 401) {
    return new ApiError(401, error.what ?? t("api.token"), error.do ?? t("api.token.do"));
  }
  const what = error.what ?? t("api.refused", { status: answer.status });
  return new ApiError(answer.status, what, error.do ?? t("api.refused.do"), wait);
}

// {what, do} of what the server refuses with, or ends a session with.
export function words({ error = {}, codes }) { return { what: told(error, "what", codes), do: told(error, "do", codes) }; }

const json = async (...args) => (await call(...args)).json();
const at = (id, tail = "") => `api/sessions/${encodeURIComponent(id)}${tail}`;

export const session = (id) => json("GET", at(id), { timeoutMs: 2_000 });
export const room = (name) => json("GET", `api/rooms/${encodeURIComponent(name)}`, { timeoutMs: ASK_MS });
export const roomPath = (name, tail = "") => `api/rooms/${encodeURIComponent(name)}${tail}`;
export const rooms = () => json("GET", "api/rooms");
export const endRoom = (name) => call("DELETE", roomPath(name));
export const act = (name, number, action, channel = "") => call("POST", roomPath(name, `/people/${number}`), { json: { action, channel } });
export const setLanguages = (name, languages) => call("POST", roomPath(name, "/languages"), { json: { languages } });
export const outputs = (name) => json("GET", roomPath(name, "/outputs"));
export const beginOutput = (name, channel, to) => json("POST", roomPath(name, "/outputs"), { json: { channel, to } });
export const endOutput = (name, number) => call("DELETE", roomPath(name, `/outputs/${number}`));
export const roomRecordings = (name) => json("GET", roomPath(name, "/recordings"));
export const makeLink = (name, role, channel = "", address = "") => json("POST", roomPath(name, "/links"), { json: { role, channel, address } });
export const revokeLinks = (name, role) => call("DELETE", roomPath(name, `/links/${role}`));
export const floor = (id, action, to) => call("POST", at(id, "/floor"), { json: { action, to } });
export const config = (timeoutMs) => json("GET", "api/config", { timeoutMs });
export const askedAgain = () => config(ASK_MS);
export const openSession = (offer) => json("POST", "api/sessions", { json: offer, timeoutMs: 10_000 });
export const sendCandidate = (id, candidate) => call("POST", at(id, "/candidates"), { json: { candidate } });
export const change = (id, options) => json("PATCH", at(id), { json: options });
export const restartIce = (id, offer) => json("POST", at(id, "/ice"), { json: offer, timeoutMs: ASK_MS });
export const closeSession = (id) => call("DELETE", at(id), { keepalive: true });
export const recording = (id, action) => json("POST", at(id, "/recording"), { json: { action }, timeoutMs: 60_000 });
export const enroll = (id, seconds) => json("POST", at(id, "/enroll"), { json: { seconds, consent: true } });
export const bank = async (id) => (await call("GET", at(id, "/bank"))).blob();
export const forgetFace = (id) => call("DELETE", at(id, "/bank"));
export const putBank = (id, file) => call("PUT", at(id, "/bank"), { body: file, timeoutMs: 60_000 });
export const recordings = (ids) => json("GET", `api/recordings?ids=${ids.join(",")}`);
export const removeRecording = (url) => call("DELETE", url);
export const download = async (url) => (await call("GET", url, { timeoutMs: 600_000 })).blob();

export const avatars = (ids) => json("GET", `api/avatars?ids=${ids.join(",")}`);
const ofAvatar = (id, tail = "") => `api/avatars/${encodeURIComponent(id)}${tail}`;
export const avatarPicture = (id) => download(ofAvatar(id, "/picture"));
export const avatarPreview = (id) => download(ofAvatar(id, "/preview"));
export const avatarFile = (id) => download(ofAvatar(id, "/file"));
export const trainAvatar = (id) => json("POST", ofAvatar(id, "/training"), { json: {} });
export const agreeToAvatar = (id) => json("POST", ofAvatar(id, "/consent"), { json: {} });
export const removeAvatar = (id) => call("DELETE", ofAvatar(id));
export const sendAvatar = (file) => send("api/avatars", file);
export const sendFilm = (file) => send("api/avatars/films", file);
export const inspection = (file) => json("POST", "api/inspections", { body: file, timeoutMs: 600_000 });
export const signedPicture = async (blob) => (await call("POST", "api/pictures", { body: blob, timeoutMs: 20_000 })).blob();

export const steer = (id, what) => json("POST", at(id, "/voice"), { json: what });

// `use` is "sound" or "picture": what the server is to look for in the file.
export const upload = (file, use) => send(`api/uploads?use=${use}`, file);

function send(path, file) {
  const form = new FormData();
  form.append("file", file);
  return json("POST", path, { body: form, timeoutMs: 600_000 });
}
