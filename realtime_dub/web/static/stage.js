// The stage: its shape, whether its voice is heard, full screen, and the mark of a recording.

import { role } from "./role.js";
import { t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);

// It takes the shape of the camera, which a phone changes when it is turned; without one, of what comes back.
export function shape() {
  const { videoWidth, videoHeight } = $(role === "studio" && $("original").srcObject ? "original" : "dubbed");
  if (videoWidth) $("stage").style.setProperty("--aspect", (videoWidth / videoHeight).toFixed(4));
}

export function setListening(on) {
  $("dubbed").muted = !on;
  ui.press($("listen"), on, on ? "i-sound" : "i-sound-off");
}

// Some browsers let sound begin in the click itself alone; then the picture goes on without.
export async function listen() {
  setListening(true);
  try {
    await $("dubbed").play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // stopped meanwhile
    setListening(false);
    $("dubbed").play().catch(() => {});
    ui.notice(t("stage.sound"));
  }
}

export function showRecording(on, seconds) {
  ui.press($("record"), on);
  $("rec-badge").hidden = !on;
  $("rec-time").textContent = ui.duration(seconds);
}

export function fullScreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  const stage = $("stage");
  if (!stage.requestFullscreen) return ui.notice(t("stage.no_full"));
  return stage.requestFullscreen().catch(() => ui.notice(t("stage.full_refused")));
}
