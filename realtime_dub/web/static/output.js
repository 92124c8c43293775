// Where the page's sound goes: the output that is chosen, and a tone that shows which one that is.

import { takes } from "./mouth.js";
import * as prefs from "./prefs.js";
import { t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);
const RATE = 48_000, TONE_S = 0.9, TONES_HZ = [523, 659], LEVEL = 0.2, RAMP_S = 0.03;

export class Output {
  #select; #player;

  // `player` is what the page is heard by.
  constructor(select, player) {
    [this.#select, this.#player] = [select, player];
    $("field-speaker").hidden = !("setSinkId" in HTMLMediaElement.prototype);
    select.addEventListener("change", () => {
      prefs.keep({ speaker: select.value || null });
      this.route(player);
    });
  }

  // What was chosen the last time, as soon as outputs have names.
  restore() {
    const { speaker } = prefs.kept();
    if (speaker && !this.#select.value) takes(this.#select, speaker);
    return this.route(this.#player);
  }

  // What that element plays goes there; unplugged meanwhile, to the default one.
  async route(player) {
    if ((player.sinkId ?? "") === this.#select.value) return;
    try {
      await player.setSinkId?.(this.#select.value);
    } catch {
      ui.notice(t("output.failed"), "problem");
    }
  }

  // Until it has been played. Rejects where the browser does not.
  async test() {
    const player = new Audio(URL.createObjectURL(tone()));
    await this.route(player);
    await player.play();
    await new Promise((done) => { player.onended = done; });
    URL.revokeObjectURL(player.src);
  }
}

// Two notes, as WAV.
function tone() {
  const samples = new Int16Array(RATE * TONE_S), half = samples.length / TONES_HZ.length;
  for (let i = 0; i < samples.length; i++) {
    const into = (i % half) / RATE, left = half / RATE - into;
    const swell = Math.min(1, into / RAMP_S, left / RAMP_S); // without a click
    samples[i] = 32_767 * LEVEL * swell * Math.sin(2 * Math.PI * TONES_HZ[Math.floor(i / half)] * into);
  }
  return new Blob([header(samples.byteLength), samples], { type: "audio/wav" });
}

function header(bytes) {
  const view = new DataView(new ArrayBuffer(44));
  const words = [[0, "RIFF"], [8, "WAVEfmt "], [36, "data"]];
  for (const [at, text] of words) [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  for (const [at, value] of [[4, 36 + bytes], [16, 16], [24, RATE], [28, 2 * RATE], [40, bytes]]) view.setUint32(at, value, true);
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) view.setUint16(at, value, true);
  return view;
}
