// The buttons that a running session changes.

import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const FOR_LIVE = ["mute", "listen", "snapshot", "record", "enroll", "bank-save", "bank-load", "forget-face"];

export function usable(on) {
  for (const id of FOR_LIVE) $(id).disabled = !on;
}

export function running(on) {
  $("room").readOnly = on; // links to it are out
  $("start").dataset.running = on ? "yes" : "no";
  $("start").querySelector("span").textContent = t(on ? "controls.stop" : "page.start");
  $("start").querySelector("use").setAttribute("href", on ? "#i-stop" : "#i-play");
  $("start").disabled = false;
}
