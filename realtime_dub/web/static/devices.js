// The camera and the microphone of a session: opened for the role, exchanged while it runs, muted, released.

import { Meter, fillDevices, openCamera, openMicrophone } from "./media.js";
import { regain } from "./regain.js";
import { role } from "./role.js";
import { t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);

// Event: "silent" (whether the microphone is muted, or held while somebody coughs).
export class Devices extends EventTarget {
  #tracks = { video: null, audio: null }; #settings = null; #meter = new Meter($("meter"), $("own-level")); #session;
  #muted = false; #coughs = false;

  // `session` gives the one that runs, if any: a device that is exchanged is sent there.
  constructor(session) {
    super();
    this.#session = session;
  }

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

  async newCamera(deviceId = this.#settings.camera) {
    this.#tracks.video?.stop(); // first: many cameras open only once
    this.#tracks.video = this.#settings.usesCamera ? await this.#camera(deviceId) : null;
    if (!this.#session()) return this.release(); // stopped meanwhile
    $("original").srcObject = this.#stream;
    await this.#session().replaceVideo(this.#tracks.video);
  }

  async newMicrophone(deviceId = this.#settings.microphone, muted = false) {
    this.#tracks.audio?.stop();
    this.#tracks.audio = this.#speaks ? await this.#microphone(deviceId) : null;
    if (!this.#session()) return this.release();
    this.mute(muted);
    this.#meter.watch(this.#tracks.audio);
    await this.#session().replaceAudio(this.#tracks.audio);
  }

  toggleMute() { if (this.#tracks.audio) this.mute(!this.#muted); }

  mute(muted) {
    this.#muted = muted;
    this.#silence();
    ui.press($("mute"), muted, muted ? "i-mic-off" : "i-mic");
  }

  // While it is on, nothing is heard; whoever was muted stays so after it.
  cough(on) {
    this.#coughs = on;
    this.#silence();
  }

  #silence() {
    const silent = this.#muted || this.#coughs;
    if (this.#tracks.audio) this.#tracks.audio.enabled = !silent;
    this.dispatchEvent(new CustomEvent("silent", { detail: silent }));
  }

  release() {
    Object.values(this.#tracks).forEach((track) => track?.stop());
    this.#tracks = { video: null, audio: null };
    $("original").srcObject = null;
    this.#meter.stop();
    this.#coughs = false;
    this.mute(false);
  }

  get #speaks() { return role === "interpreter" || this.#settings.usesMicrophone; }

  get #stream() { return this.#tracks.video && new MediaStream([this.#tracks.video]); }

  #show() {
    $("original").srcObject = this.#stream;
    this.#meter.watch(this.#tracks.audio);
  }

  async #camera(deviceId = this.#settings.camera) { return this.#watched(await openCamera(deviceId, this.#settings.size)); }

  async #microphone(deviceId = this.#settings.microphone) {
    try {
      return this.#watched(await openMicrophone(deviceId, this.#settings.processing));
    } catch (error) {
      if (role === "interpreter" || this.#settings.needsMicrophone) throw error;
      ui.notice(`${error.message} ${t("devices.unheard")}`, "problem");
      return null;
    }
  }

  #watched(track) {
    track.onended = () => this.#taken(track);
    return track;
  }

  async #taken(track) {
    const { kind } = track, name = kind === "video" ? "camera" : "microphone";
    ui.notice(t("devices.taken", { thing: t(`thing.${name}`) }), "problem");
    const { deviceId } = track.getSettings(); // that one: another may look elsewhere
    const open = () => (kind === "video" ? this.newCamera(deviceId) : this.newMicrophone(deviceId, this.#muted));
    const back = await regain(open, () => this.#session() && this.#tracks[kind] === track);
    if (back && this.#session()) ui.notice(t("devices.back", { thing: t(`thing.${name}`) }));
  }
}
