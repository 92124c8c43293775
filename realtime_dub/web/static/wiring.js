// Buttons, keys and what the browser itself has to say, each with what it does.

import { Keys } from "./keys.js";
import { snapshot } from "./keep.js";
import * as prefs from "./prefs.js";
import * as resume from "./resume.js";
import { fullScreen, setListening, shape } from "./stage.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);

function switchTheme(studio) {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* storage refused: it holds until the page is left */ }
  studio.redraw();
}

function forget() {
  prefs.forget();
  $("prefs-says").textContent = t("wiring.forgotten");
}

export function wire(studio) {
  const on = (id, action) => $(id).addEventListener("click", action);
  for (const id of ["original", "dubbed"]) $(id).addEventListener("resize", shape);
  on("start", () => studio.toggle());
  on("mute", () => studio.devices.toggleMute());
  on("listen", () => setListening($("dubbed").muted));
  on("record", () => studio.record());
  on("snapshot", () => snapshot($("dubbed"), $("stage").dataset.badge === "page" ? $("badge") : null));
  on("full", fullScreen);
  on("theme", () => switchTheme(studio));
  on("help", () => $("help-dialog").showModal());
  on("prefs-forget", forget);
  on("enroll", () => studio.person.enroll());
  on("forget-face", () => studio.person.forget());
  on("bank-save", () => studio.person.saveBank());
  $("bank-load").addEventListener("change", () => {
    studio.person.loadBank($("bank-load").files[0]);
    $("bank-load").value = ""; // so that the same file can be chosen again
  });
  navigator.mediaDevices?.addEventListener("devicechange", () => studio.devices.list());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => studio.redraw());
  window.addEventListener("pagehide", () => studio.stop());
  window.addEventListener("pageshow", (event) => { if (event.persisted && resume.wanted(true)) studio.start(true); });
  wireKeys(studio);
}

function wireKeys(studio) {
  const buttons = { s: $("start"), m: $("mute"), l: $("listen"), r: $("record"), p: $("snapshot"), f: $("full"), t: $("theme"), e: $("enroll"), "?": $("help") };
  new Keys({ ...buttons, c: () => studio.nextView() }, (step) => studio.swipe(step), $("keys-on"), studio.booth ? { h: (on) => studio.booth.cough(on) } : {});
}
