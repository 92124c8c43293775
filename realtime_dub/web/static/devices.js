// The camera and the microphone of a session: opened for the role, exchanged while it runs, muted, released.

import { Meter, fillDevices, openCamera, openMicrophone } from "./media.js";
import { role } from "./role.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);

export class Devices {
  #tracks = { video: null, audio: null }; #settings = null; #meter = new Meter($("meter"));

  // Which of them, and how, the settings say.
  async use(settings) {
    this.#settings = settings;
    await this.list();
    settings.restoreDevices();
  }

  get tracks() { return this.#tracks; }

  get lost() { return Object.values(this.#tracks).some((track) => track?.readyState === "ended"); }

  list() { return fillDevices($("camera"), $("microphone")); }

  async open() {
    if (role === "viewer") return;
    if (role === "studio" && this.#settings.usesCamera) this.#tracks.video = await this.#camera();
    if (this.#speaks) this.#tracks.audio = await this.#microphone();
    this.#show();
    await this.list();
  }

  // Another camera, if any: for who sends its frames.
  async newCamera() {
    this.#tracks.video?.stop(); // first: many cameras open only once
    this.#tracks.video = this.#settings.usesCamera ? await this.#camera() : null;
    $("original").srcObject = this.#stream;
    return this.#tracks.video;
  }

  async newMicrophone() {
    this.#tracks.audio?.stop();
    this.#tracks.audio = this.#speaks ? await this.#microphone() : null;
    this.#meter.watch(this.#tracks.audio);
    return this.#tracks.audio;
  }

  toggleMute() { if (this.#tracks.audio) this.mute(this.#tracks.audio.enabled); }

  mute(muted) {
    if (this.#tracks.audio) this.#tracks.audio.enabled = !muted;
    ui.press($("mute"), muted, muted ? "i-mic-off" : "i-mic");
  }

  release() {
    Object.values(this.#tracks).forEach((track) => track?.stop());
    this.#tracks = { video: null, audio: null };
    $("original").srcObject = null;
    this.#meter.stop();
    ui.press($("mute"), false, "i-mic");
  }

  get #speaks() { return role === "interpreter" || this.#settings.usesMicrophone; }

  get #stream() { return this.#tracks.video && new MediaStream([this.#tracks.video]); }

  #show() {
    $("original").srcObject = this.#stream;
    this.#meter.watch(this.#tracks.audio);
  }

  async #camera() { return watched(await openCamera(this.#settings.camera)); }

  async #microphone() { return watched(await openMicrophone(this.#settings.microphone, this.#settings.processing)); }
}

function watched(track) {
  track.onended = () => ui.notice(`The ${track.kind === "video" ? "camera" : "microphone"} was taken away. Plug it in again, or choose another one.`, "problem");
  return track;
}
