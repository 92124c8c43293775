// What the page says: the state in the header, one line of notice, and failures, each with what to do.

import { useToken } from "./api.js";

const $ = (id) => document.getElementById(id);
const NOTICE_S = 8;
let noticeTimer = 0, countdown = 0;

const STATES = {
  idle: ["idle", "Ready"],
  asking: ["busy", "Waiting for your permission"],
  connecting: ["busy", "Connecting"],
  live: ["live", "Live"],
  interrupted: ["busy", "Interrupted, reconnecting"],
  failed: ["failed", "Not connected"],
  waiting: ["busy", "Waiting for the sender"],
  ended: ["busy", "The sender has stopped"],
  away: ["busy", "Waiting for the sender's picture"],
  still: ["busy", "No picture leaves"],
  listening: ["busy", "Partner on air"],
  unheard: ["busy", "The speaker uses another voice"],
  queued: ["busy", "Somebody else sends in this room"],
};

// Instead of a picture that stands still.
const SCENES = {
  waiting: ["Nobody is on yet.", "It begins here by itself."],
  ended: ["The sender has stopped.", "It goes on here by itself when they are back."],
  away: ["No picture comes from the sender.", "It goes on here by itself."],
  listening: ["Your partner is on air.", "Ask to take over, or wait until they leave."],
  unheard: ["The speaker uses another voice.", "You are heard when they choose “An interpreter” as their voice."],
  queued: ["Somebody else sends in this room.", "You are on as soon as they stop. To send now, ask them, or take another room."],
};

export function state(name) {
  const [kind, words] = STATES[name];
  $("state").dataset.state = kind;
  if ($("state-text").textContent !== words) $("state-text").textContent = words;
}

// What an interpreter is told while the original goes on; to others there is no picture then.
const BESIDE = ["listening", "unheard"];

// Null where the picture is to be seen. `usual`: what stands there otherwise; `interprets`: the page of somebody who does.
export function scene(name, usual, interprets = false) {
  const beside = interprets && BESIDE.includes(name);
  $("told").textContent = beside ? SCENES[name].join(" ") : "";
  const words = (beside ? null : SCENES[name]) ?? usual;
  $("welcome").hidden = !words;
  if (words) [$("welcome-title").textContent, $("welcome-text").textContent] = words;
}

export function notice(words, kind = "word") {
  clearTimeout(noticeTimer);
  $("notice").dataset.kind = kind;
  $("notice").textContent = words;
  noticeTimer = setTimeout(() => { $("notice").textContent = ""; }, 1000 * NOTICE_S);
}

export function problem(error) { notice(`${error.message} ${error.do ?? ""}`, "problem"); }

// `again` is called by the button, after a token was given, or by itself where the server named a time.
export function failure(error, again) {
  state("failed");
  clearInterval(countdown);
  $("failure-what").textContent = error.message;
  $("failure-do").textContent = error.do ?? "Reload the page and try again.";
  $("token-form").hidden = error.status !== 401;
  $("failure").hidden = false;
  $("retry").onclick = again;
  $("retry").textContent = "Try again";
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
    $("retry").textContent = left > 0 ? `Try again (best in ${left} s)` : "Try again";
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
