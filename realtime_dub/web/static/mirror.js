// The own view as a mirror shows it. Only what is seen here: what is sent, dubbed and recorded is never turned over.

import * as prefs from "./prefs.js";

export class Mirror {
  #stage; #video; #switch;

  constructor(stage, video, checkbox) {
    this.#stage = stage;
    this.#video = video;
    this.#switch = checkbox;
    checkbox.checked = prefs.kept().mirror ?? true;
    checkbox.addEventListener("change", () => {
      prefs.keep({ mirror: checkbox.checked });
      this.#turn();
    });
    video.addEventListener("loadedmetadata", () => this.#turn());
    this.#turn();
  }

  // A camera on the back of a phone shows no mirror image of anybody.
  #turn() {
    const facing = this.#video.srcObject?.getVideoTracks()[0]?.getSettings().facingMode;
    this.#stage.dataset.mirror = this.#switch.checked && facing !== "environment" ? "yes" : "no";
  }
}
