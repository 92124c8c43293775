// Whoever hears others beside an open microphone must not send them back: the browser takes them out of what it sends.
// Where it does not, because that is off or cannot be had, the page says so as long as anything is heard.

import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);

// Which words are to be shown, if any. `track` is the microphone's, `heard` whether the page plays sound.
export function echoes(track, heard) {
  if (!track || !heard || track.readyState !== "live") return null;
  const { echoCancellation: cancelled } = track.getSettings();
  if (cancelled === undefined) return "echo.unknown";
  return cancelled === false ? "echo.off" : null; // true, or the name of a kind
}

export class Echo {
  #devices;

  // `devices` has the microphone.
  constructor(devices) {
    this.#devices = devices;
    for (const name of ["volumechange", "loadeddata", "emptied"]) $("dubbed").addEventListener(name, () => this.#draw());
    devices.addEventListener("silent", () => this.#draw()); // also after another microphone was opened
  }

  #draw() {
    const heard = !$("dubbed").muted && Boolean($("dubbed").srcObject);
    const key = echoes(this.#devices.tracks.audio, heard), words = key ? t(key) : "";
    if ($("echo").textContent !== words) $("echo").textContent = words;
  }
}
