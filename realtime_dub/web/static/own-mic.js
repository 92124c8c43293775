// The person's own microphone beside another's voice: from it is learnt how they talk. It is heard and not handed on.

import * as prefs from "./prefs.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const BESIDE = t("own_mic.hint");

export class OwnMic {
  // `change` is called with whether it is on.
  constructor(change) {
    $("own-mic").checked = prefs.kept().own_mic ?? false;
    $("own-mic").addEventListener("change", () => {
      prefs.keep({ own_mic: this.on });
      change(this.on);
    });
    this.#says(0);
  }

  get on() { return $("own-mic").checked; }

  options() { return this.on ? { own_mic: true } : {}; }

  // The server's word; `learnt` is what has come of it.
  show(options, learnt) {
    if (options.own_mic != null && document.activeElement !== $("own-mic")) $("own-mic").checked = options.own_mic;
    this.#says(learnt?.frames ?? 0);
  }

  #says(frames) { $("own-mic-hint").textContent = frames && this.on ? t("own_mic.learnt", { frames }) : BESIDE; }
}
