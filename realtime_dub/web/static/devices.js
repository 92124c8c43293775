// The camera and the microphone of a session: opened for the role, exchanged while it runs, muted, released.

import { Meter, fillDevices, openCamera, openMicrophone } from "./media.js";
import { regain } from "./regain.js";
import { role } from "./role.js";
import { t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);

// Events: "silent" (whether the microphone is muted, or held while somebody coughs), "preview" (what the green room
// shows is another), "taken" (the kind of a device that went away while it was used).
export class Devices extends EventTarget {
  #tracks = { video: null, audio: null }; #settings = null; #meter = new Meter($("meter"), $("own-level"), $("green-level")); #session;
  #muted = false; #coughs = false; #previews = false;

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

  list() { return fillDevices($("camera"), $("microphone"), $("speaker")); }

  // What the green room has opened goes on.
  async open() {
    if (role === "viewer") return;
    const { video, audio } = this.#tracks;
    if (role === "studio" && this.#settings.usesCamera) this.#tracks.video = isLive(video) ? video : await this.#camera();
    if (this.#speaks) this.#tracks.audio = isLive(audio) ? audio : await this.#microphone();
    else if (!this.#previews) this.#tracks.audio = audio?.stop() ?? null; // another's voice will be heard
    this.#show();
    await this.list();
  }

  // For the green room, which shows and sends nobody anything: with the microphone, whoever's the voice will be.
  async preview() {
    this.#previews = true;
    await this.open();
    if (!this.#tracks.audio) this.#tracks.audio = this.#watched(await openMicrophone(this.#settings.microphone, this.#settings.processing));
    if (!this.#previews) return this.release(); // closed meanwhile
    this.#show();
  }

  get previews() { return this.#previews; }

  // The green room is left for the stage: what is open stays so.
  keep() { this.#previews = false; }

  endPreview() {
    if (!this.#previews) return;
    this.#previews = false;
    this.release();
  }

  get #used() { return this.#session() || this.#previews; }

  async newCamera(deviceId = this.#settings.camera) {
    this.#tracks.video?.stop(); // first: many cameras open only once
    this.#tracks.video = this.#settings.usesCamera ? await this.#camera(deviceId) : null;
    if (!this.#used) return this.release(); // stopped meanwhile
    this.#show();
    await this.#session()?.replaceVideo(this.#tracks.video);
  }

  async newMicrophone(deviceId = this.#settings.microphone, muted = false) {
    this.#tracks.audio?.stop();
    this.#tracks.audio = this.#speaks || this.#previews ? await this.#microphone(deviceId) : null;
    if (!this.#used) return this.release();
    this.mute(muted);
    this.#show();
    await this.#session()?.replaceAudio(this.#tracks.audio);
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
    if (!this.#previews) $("original").srcObject = this.#stream;
    this.#meter.watch(this.#tracks.audio);
    if (this.#previews) this.dispatchEvent(new Event("preview"));
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
    if (this.#session()) this.dispatchEvent(new CustomEvent("taken", { detail: kind }));
    const open = () => (kind === "video" ? this.newCamera(deviceId) : this.newMicrophone(deviceId, this.#muted));
    const back = await regain(open, () => this.#used && this.#tracks[kind] === track);
    if (back && this.#session()) ui.notice(t("devices.back", { thing: t(`thing.${name}`) }));
  }
}

function isLive(track) { return track?.readyState === "live"; }
