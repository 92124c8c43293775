// The voice from a file: pause, from the beginning, repeat, and where it is. The server plays it; this only asks and shows.

import * as api from "./api.js";
import { t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);

export class Player {
  #id = () => null; #state = null;

  // `id` gives the session's.
  constructor(id) {
    this.#id = id;
    $("player-play").addEventListener("click", () => this.#ask({ playing: !this.#state?.playing }));
    $("player-restart").addEventListener("click", () => this.#ask({ playing: true, at_s: 0 }));
    $("player-loop").addEventListener("click", () => this.#ask({ loop: !this.#state?.loop }));
  }

  // The server's word: {playing, at_s, seconds, loop}, or null where the voice is none from a file.
  show(state) {
    this.#state = state ?? null;
    $("player").hidden = !state;
    for (const id of ["player-play", "player-restart", "player-loop"]) $(id).disabled = !state;
    if (state) this.#place(state);
  }

  #place({ playing, at_s, seconds, loop }) {
    const words = t(playing ? "page.pause_the_sound_file" : "page.play_the_sound_file");
    $("player-play").querySelector("use").setAttribute("href", playing ? "#i-pause" : "#i-play");
    Object.assign($("player-play"), { title: words, ariaLabel: words });
    ui.press($("player-loop"), loop);
    $("player-at").value = at_s / Math.max(seconds, 0.01);
    $("player-time").textContent = `${ui.duration(Math.floor(at_s))} / ${ui.duration(Math.round(seconds))}`;
    $("player-at").setAttribute("aria-valuetext", t("player.at", { at: Math.floor(at_s), all: Math.round(seconds) }));
  }

  async #ask(what) {
    try {
      this.show((await api.steer(this.#id(), what)).voice);
    } catch (error) {
      ui.problem(error);
    }
  }
}
