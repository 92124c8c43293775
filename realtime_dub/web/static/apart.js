// The stage in a window of its own that stays above the others: all of it, so that the badge goes along.

import { t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);
const api = window.documentPictureInPicture;

export class Apart {
  #stage = $("stage"); #home = document.createComment("stage");

  constructor() {
    $("apart").hidden = !api;
    $("apart").addEventListener("click", () => this.toggle());
  }

  async toggle() {
    if (api.window) return api.window.close();
    try {
      const { width, height } = this.#stage.getBoundingClientRect();
      this.#move(await api.requestWindow({ width: Math.round(width / 2), height: Math.round(height / 2) }));
    } catch {
      ui.notice(t("apart.refused"));
    }
  }

  #move(other) {
    for (const sheet of document.querySelectorAll("link[rel=stylesheet]")) other.document.head.append(sheet.cloneNode());
    Object.assign(other.document.documentElement, { lang: document.documentElement.lang, dir: document.documentElement.dir });
    other.document.documentElement.dataset.theme = document.documentElement.dataset.theme ?? "";
    Object.assign(other.document.body.dataset, document.body.dataset, { apart: "yes" });
    this.#stage.replaceWith(this.#home);
    other.document.body.append(this.#stage);
    ui.press($("apart"), true);
    this.#play();
    other.addEventListener("pagehide", () => {
      this.#home.replaceWith(this.#stage);
      ui.press($("apart"), false);
      this.#play();
    });
  }

  // A video that is moved stands still.
  #play() { for (const video of this.#stage.querySelectorAll("video")) if (video.srcObject) video.play().catch(() => {}); }
}
