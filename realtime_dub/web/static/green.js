// The green room: what others will see and hear, before they do. Nothing leaves this browser in it.
//
// It opens before a speaker goes live in a room that the address names, and on request. The choosers of the settings
// move into it while it is open, so that there is one of each.

import { Listening } from "./listening.js";
import * as prefs from "./prefs.js";
import { role, room } from "./role.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const FIELDS = ["field-camera", "field-camera-size", "field-camera-fps", "field-microphone", "field-speaker"];
const LOOK_MS = 250, QUIET_MS = 3000; // so long without a sound, and it is said
const HEARD = 25; // of the meter's hundred: more than a quiet room has

export class Green {
  #devices; #output; #start; #listening; #homes = []; #timer = 0; #quietMs = 0;

  // `start` goes live.
  constructor(devices, output, start) {
    [this.#devices, this.#output, this.#start] = [devices, output, start];
    this.#listening = new Listening($("green-video"), $("green-back"), $("green-record"), output, (words) => say("green-back-says", words));
    const on = (id, action) => $(id).addEventListener("click", action);
    on("check", () => this.open());
    on("green-live", () => this.#live());
    on("green-tone", () => this.#tone());
    on("green-record", () => this.#listening.toggle(devices.tracks));
    $("green").addEventListener("close", () => this.#leave());
    $("green-always").checked = this.#asked;
    $("green-always").addEventListener("change", () => prefs.keep({ green: $("green-always").checked }));
    devices.addEventListener("preview", () => this.#show());
  }

  // Whether Start leads here first: as was chosen on this device, else where others may be waiting in the room.
  get wanted() { return role === "studio" && this.#asked; }

  get #asked() { return prefs.kept().green ?? Boolean(room); }

  async open() {
    this.#homes = FIELDS.map((id) => [$(id), document.createComment(id)]);
    for (const [field, home] of this.#homes) {
      field.replaceWith(home);
      $("green-fields").append(field);
    }
    $("green").showModal();
    say("green-wrong", "");
    await this.#preview();
  }

  async #preview() {
    try {
      await this.#devices.preview();
      await this.#output.restore();
    } catch (error) {
      say("green-wrong", `${error.message} ${error.do ?? ""}`);
    }
    if (!$("green").open) return; // closed meanwhile
    clearInterval(this.#timer);
    this.#quietMs = 0;
    this.#timer = setInterval(() => this.#hear(), LOOK_MS);
  }

  #show() {
    const { video } = this.#devices.tracks;
    this.#listening.stop();
    $("green-video").srcObject = video && new MediaStream([video]);
    $("green-none").hidden = Boolean(video);
    const { width, height, frameRate } = video?.getSettings() ?? {};
    say("green-gives", width ? t("green.gives", { width, height, fps: Math.round(frameRate ?? 0) }) : "");
    if (video) say("green-wrong", "");
  }

  // In words, for whoever does not see the meter move.
  #hear() {
    const heard = Number($("green-level").getAttribute("aria-valuenow")) >= HEARD;
    this.#quietMs = heard ? 0 : this.#quietMs + LOOK_MS;
    if (heard) say("green-level-says", t("green.heard"));
    else if (this.#quietMs >= QUIET_MS) say("green-level-says", t("green.quiet"));
  }

  async #tone() {
    $("green-tone").disabled = true;
    await this.#output.test().catch(() => say("green-wrong", t("output.failed")));
    $("green-tone").disabled = false;
  }

  // With the camera and the microphone that are open.
  #live() {
    this.#devices.keep();
    $("green").close();
    this.#start();
  }

  #leave() {
    clearInterval(this.#timer);
    this.#listening.stop();
    $("green-video").srcObject = null;
    for (const [field, home] of this.#homes) home.replaceWith(field);
    this.#devices.endPreview();
    $("start").focus();
  }
}

function say(id, words) {
  if ($(id).textContent !== words) $(id).textContent = words;
}
