// The listen-back: ten seconds of camera and microphone, recorded in this browser, played to whoever made them, and
// forgotten. Nothing of it is sent.

import { t } from "./texts.js";

const LONGEST_S = 10;

export class Listening {
  #live; #back; #button; #output; #say; #recorder = null; #timer = 0;

  // `live` shows the camera, `back` what was recorded; `say` is called with where it stands.
  constructor(live, back, button, output, say) {
    [this.#live, this.#back, this.#button, this.#output, this.#say] = [live, back, button, output, say];
    button.hidden = !("MediaRecorder" in window);
    back.addEventListener("ended", () => this.stop());
  }

  // Starts one, or ends the one that is being made and plays it.
  async toggle(tracks) {
    if (this.#recorder) return this.#recorder.stop();
    this.stop();
    const present = Object.values(tracks).filter((track) => track?.readyState === "live");
    if (!present.some((track) => track.kind === "audio")) return this.#say(t("green.no_microphone"));
    this.#record(new MediaRecorder(new MediaStream(present)));
  }

  // Whatever is recorded or played is forgotten.
  stop() {
    clearInterval(this.#timer);
    if (this.#recorder) this.#recorder.onstop = null;
    if (this.#recorder?.state === "recording") this.#recorder.stop();
    this.#recorder = null;
    if (this.#back.src) URL.revokeObjectURL(this.#back.src);
    this.#back.removeAttribute("src");
    this.#back.hidden = true;
    this.#live.hidden = false;
    this.#button.textContent = t("green.record");
    this.#say("");
  }

  #record(recorder) {
    const parts = [];
    let left = LONGEST_S;
    this.#recorder = recorder;
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => this.#play(new Blob(parts, { type: recorder.mimeType }));
    recorder.start();
    this.#button.textContent = t("green.enough");
    this.#say(t("green.speak"));
    this.#timer = setInterval(() => {
      left--;
      this.#button.textContent = t("green.enough_left", { left });
      if (left <= 0) recorder.stop();
    }, 1000);
  }

  async #play(film) {
    this.stop();
    this.#back.src = URL.createObjectURL(film);
    this.#back.hidden = false;
    this.#live.hidden = true;
    await this.#output.route(this.#back);
    this.#say(t("green.playing"));
    this.#back.play().catch(() => this.stop());
  }
}
