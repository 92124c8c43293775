// The two pictures: side by side, swiped over each other, or the dubbed one alone.

import * as prefs from "./prefs.js";
import { t } from "./texts.js";

const VIEWS = ["side", "swipe", "dubbed"];
const HELD_FRAMES = 75; // three seconds at 25 fps; a longer delay shows the oldest that is held

export class Compare {
  #stage; #swipe; #radios; #delayed;

  constructor(stage) {
    this.#stage = stage;
    this.#swipe = stage.querySelector(".swipe");
    this.#radios = [...document.querySelectorAll("input[name=view]")];
    this.#delayed = new DelayedPicture(stage.querySelector("#original"), stage.querySelector("#aligned"));
    this.#swipe.addEventListener("input", () => this.#place());
    this.#radios.forEach((radio) => radio.addEventListener("change", () => this.show(radio.value)));
    // What a pointer has moved gives the keys back: an arrow then moves the swipe, and no other view comes.
    for (const moved of [this.#swipe, ...this.#radios]) moved.addEventListener("pointerup", () => setTimeout(() => moved.blur()));
    const { view } = prefs.kept();
    if (view && document.body.dataset.role === "studio") this.show(view); // who watches has one picture alone
  }

  get view() { return this.#stage.dataset.view; }

  set delayMs(value) { this.#delayed.delayMs = value; }

  next() { this.show(VIEWS[(VIEWS.indexOf(this.view) + 1) % VIEWS.length]); }

  show(view) {
    this.#stage.dataset.view = view;
    this.#radios.forEach((radio) => { radio.checked = radio.value === view; });
    prefs.keep({ view });
    this.#align();
  }

  live(on) {
    this.#stage.dataset.live = on ? "yes" : "no";
    this.#align();
  }

  move(step) {
    if (this.view !== "swipe") return;
    this.#swipe.value = Number(this.#swipe.value) + step;
    this.#place();
  }

  #place() {
    const share = Number(this.#swipe.value);
    this.#stage.style.setProperty("--split", `${share}%`);
    this.#swipe.setAttribute("aria-valuetext", t("compare.share", { share, rest: 100 - share }));
  }

  // Only where the two lie over each other must they show one instant; elsewhere the live picture is the mirror.
  #align() {
    if (this.view === "swipe" && this.#stage.dataset.live === "yes") this.#delayed.start();
    else this.#delayed.stop();
  }
}

// The camera's picture as late as the dubbed one, so that a moving head has one place under the swipe.
class DelayedPicture {
  #video; #canvas; #held = []; #running = false;
  delayMs = 0;

  constructor(video, canvas) { this.#video = video; this.#canvas = canvas; }

  start() {
    if (this.#running || !this.#video.requestVideoFrameCallback) return;
    this.#running = true;
    this.#video.requestVideoFrameCallback(() => this.#frame());
  }

  stop() {
    this.#running = false;
    this.#canvas.hidden = true;
    this.#held.splice(0).forEach(({ bitmap }) => bitmap.close());
  }

  async #frame() {
    if (!this.#running) return;
    this.#video.requestVideoFrameCallback(() => this.#frame());
    const at = performance.now();
    let bitmap;
    try { bitmap = await createImageBitmap(this.#video); } catch { return; } // the camera was just taken away
    if (!this.#running) { bitmap.close(); return; }
    this.#held.push({ at, bitmap });
    this.#show(performance.now() - this.delayMs);
  }

  #show(instant) {
    while (this.#held.length > 1 && (this.#held[1].at <= instant || this.#held.length > HELD_FRAMES)) this.#held.shift().bitmap.close();
    const { bitmap } = this.#held[0];
    if (this.#canvas.width !== bitmap.width || this.#canvas.height !== bitmap.height) {
      Object.assign(this.#canvas, { width: bitmap.width, height: bitmap.height });
    }
    this.#canvas.getContext("2d").drawImage(bitmap, 0, 0);
    this.#canvas.hidden = false;
  }
}
