// How loud the original is under the dub: for whoever watches, where the speaker lets it be heard.

import * as prefs from "./prefs.js";
import { problem } from "./ui.js";

const $ = (id) => document.getElementById(id);

// A slider of percent, and the text beside it.
export function percent(slider, output, value = slider.value / 100) {
  slider.value = Math.round(100 * value);
  slider.style.setProperty("--fill", `${(100 * slider.value) / slider.max}%`);
  output.textContent = `${slider.value} %`;
}

export class Under {
  #session; #touched = prefs.kept().under;

  // `session` gives the one that runs, if any.
  constructor(session) {
    this.#session = session;
    $("own-under").addEventListener("input", () => percent($("own-under"), $("own-under-value")));
    $("own-under").addEventListener("change", () => this.#choose($("own-under").value / 100));
  }

  // The room's, until somebody has moved the slider here.
  show(room) {
    const heard = room?.under || (room?.channels?.length && room.dubbed);
    $("field-under").hidden = !heard;
    if (!heard || document.activeElement === $("own-under")) return;
    percent($("own-under"), $("own-under-value"), this.#touched ?? room.under);
  }

  // What a new session is opened with.
  options() { return this.#touched === undefined ? {} : { under: this.#touched }; }

  async #choose(under) {
    this.#touched = under;
    prefs.keep({ under });
    try {
      await this.#session()?.change({ under });
    } catch (error) {
      problem(error);
    }
  }
}
