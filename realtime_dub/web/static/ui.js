// What the page says: the state in the header, one line of notice, and failures, each with what to do.

import { useToken } from "./api.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const NOTICE_S = 8;
let noticeTimer = 0, countdown = 0;

// What the pill looks like in each state.
const KINDS = {
  idle: "idle", asking: "busy", connecting: "busy", live: "live", interrupted: "busy", failed: "failed", waiting: "busy", alone: "busy", ended: "busy",
  away: "busy", still: "busy", listening: "busy", unheard: "busy", queued: "busy",
};

// Instead of a picture that stands still.
const SCENES = ["waiting", "alone", "ended", "away", "listening", "unheard", "queued"];
const words = (name, room) => (SCENES.includes(name) ? [t(`scene.${name}`, { room }), t(`scene.${name}.do`)] : null);

export function state(name) {
  const said = t(name === "idle" ? "page.ready" : `state.${name}`);
  $("state").dataset.state = KINDS[name];
  if ($("state-text").textContent !== said) $("state-text").textContent = said;
}

// What an interpreter is told while the original goes on; to others there is no picture then.
const BESIDE = ["listening", "unheard"];

// Null where the picture is to be seen. `usual`: what stands there otherwise; `interprets`: the page of somebody who does.
export function scene(name, usual, interprets = false, room = "") {
  const beside = interprets && BESIDE.includes(name);
  const told = words(name, room);
  $("told").textContent = beside ? told.join(" ") : "";
  const shown = (beside ? null : told) ?? usual;
  $("welcome").hidden = !shown;
  $("check").hidden = name !== "idle" || document.body.dataset.role === "viewer";
  if (shown) [$("welcome-title").textContent, $("welcome-text").textContent] = shown;
}

export function notice(words, kind = "word") {
  clearTimeout(noticeTimer);
  $("notice").dataset.kind = kind;
  $("notice").textContent = words;
  noticeTimer = setTimeout(() => { $("notice").textContent = ""; }, 1000 * NOTICE_S);
}

// In the green room, which lies above the page, there.
export function problem(error) {
  const words = `${error.message} ${error.do ?? ""}`;
  if ($("green")?.open) $("green-wrong").textContent = words;
  else notice(words, "problem");
}

// `again` is called by the button, after a token was given, or by itself where the server named a time.
export function failure(error, again) {
  state("failed");
  clearInterval(countdown);
  $("failure-what").textContent = error.message;
  $("failure-do").textContent = error.do ?? t("ui.reload");
  $("token-form").hidden = error.status !== 401;
  $("retry").hidden = error.status === 401; // with a token it is tried again
  $("failure").hidden = false;
  $("retry").onclick = again;
  $("retry").textContent = t("page.try_again");
  $("token-form").onsubmit = (event) => {
    event.preventDefault();
    useToken($("token").value);
    again();
  };
  if (error.retryAfterS > 0) waitFor(error.retryAfterS);
}

// The button says how long the server asked to wait; it can be pressed before.
function waitFor(seconds) {
  const until = performance.now() + 1000 * seconds;
  const show = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    $("retry").textContent = left > 0 ? t("ui.again_in", { left }) : t("page.try_again");
    if (left <= 0) clearInterval(countdown);
  };
  show();
  countdown = setInterval(show, 1000);
}

export function clearFailure() {
  clearInterval(countdown);
  $("failure").hidden = true;
}

export function press(button, on, icon) {
  button.setAttribute("aria-pressed", on);
  if (icon) button.querySelector("use").setAttribute("href", `#${icon}`);
}

export function duration(seconds) { return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`; }

// What the server cannot do is not shown.
export function features(names) {
  for (const element of document.querySelectorAll("[data-feature]")) {
    element.hidden = !names.includes(element.dataset.feature);
    if (element instanceof HTMLOptionElement) element.disabled = element.hidden; // Safari shows hidden options
  }
}
