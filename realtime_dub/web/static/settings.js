// The choosers beside the picture: what they offer, what they are set to, and that a change acts at once.
//
// Events: "options" (a part of the session's options, to be sent), "devices" ("camera" or "microphone" was changed),
// and "restart" (what only a new session can do).

import * as api from "./api.js";
import { Languages } from "./channels.js";
import { copied, linkFor } from "./invite.js";
import { Mouth, takes } from "./mouth.js";
import { OwnMic } from "./own-mic.js";
import { Picker } from "./picker.js";
import * as prefs from "./prefs.js";
import { t } from "./texts.js";
import { percent } from "./under.js";

const $ = (id) => document.getElementById(id);
const USUAL = { width: 640, height: 480, fps: 25 };
const SIZES = { "480p": { width: 640, height: 480 }, "720p": { width: 1280, height: 720 } };

export class Settings extends EventTarget {
  #mouth; #camera; #ownMic; #audioFile; #still; #onCamera = true; #inUse = "mic"; // the voice that is
  #share; // the server's address for others

  constructor(config, room) {
    super();
    this.#share = config.share?.address;
    this.#camera = { ...USUAL, ...config.camera }; // what the server's machine holds
    $("camera-size").options[0].text = t("settings.automatic", this.#camera);
    $("camera-size").title = this.#camera.why ?? "";
    this.#mouth = new Mouth(config, (options) => this.#emit("options", options));
    this.#ownMic = new OwnMic((on) => this.#learns(on));
    this.languages = new Languages(this.#share, () => this.#room());
    this.languages.addEventListener("change", () => {
      this.#emit("devices", "microphone"); // the original is heard then
      this.#emit("options", { languages: this.languages.tags });
    });
    $("room").value = room || prefs.keptRoom() || freshRoom();
    this.#restore(prefs.kept());
    for (const id of ["camera", "camera-size", "microphone", "processing"]) {
      $(id).addEventListener("change", () => this.#device(id));
    }
    for (const radio of document.querySelectorAll("input[name=voice]")) radio.addEventListener("change", () => this.#voice());
    this.#audioFile = new Picker($("sound"), "sound", config.limits);
    this.#still = new Picker($("still"), "picture", config.limits);
    this.#audioFile.addEventListener("ready", () => this.#voice());
    this.#still.addEventListener("ready", () => this.#newPicture());
    $("room").addEventListener("change", () => this.#voice());
    $("under").addEventListener("input", () => percent($("under"), $("under-value")));
    $("under").addEventListener("change", () => {
      prefs.keep({ under: this.#under });
      this.#emit("options", { under: this.#under });
    });
    $("room-link").addEventListener("click", () => this.#copyLink("interpreter"));
    $("watch-link").addEventListener("click", () => this.#copyLink("viewer"));
  }

  get camera() { return $("camera").value; }
  get size() { return { ...this.#camera, ...SIZES[$("camera-size").value] }; } // at the server's rate
  get microphone() { return $("microphone").value; }
  get processing() { return $("processing").checked; }
  get kind() { return document.querySelector("input[name=voice]:checked").value; }
  get needsMicrophone() { return this.#inUse === "mic" || (this.#ownMic.on && this.usesCamera); }
  get usesMicrophone() { return this.needsMicrophone || this.#inUse === "room" || this.languages.tags.length > 0; } // others hear it
  get lasting() { return this.kind !== "upload" && this.usesCamera; } // a file has to be chosen anew after a reload
  get usesCamera() { return $("camera").value !== "still"; }

  // What a new session is opened with.
  options() {
    const picture = this.usesCamera || !this.#pictureOption() ? {} : { picture: this.#pictureOption() };
    return { ...this.#mouth.options(), ...picture, ...this.#ownMic.options(), under: this.#under, languages: this.languages.tags, room: this.#room(), voice: this.#voiceOption() ?? "mic" };
  }

  get #under() { return $("under").value / 100; }

  // A file that was asked for and is not chosen is asked for again; nothing starts without it.
  complete() {
    const missing = this.kind === "upload" && !this.#audioFile.chosen ? this.#audioFile : !this.usesCamera && !this.#still.chosen ? this.#still : null;
    missing?.ask();
    return !missing;
  }

  // Before a session: the files that it needs are with the server. Throws an ApiError.
  async ready() {
    if (this.kind === "upload") await this.#audioFile.ready();
    if (!this.usesCamera) await this.#still.ready();
    this.#inUse = this.kind;
    this.#onCamera = this.usesCamera;
  }

  show(options, { silence, own_voice: learnt } = {}) {
    this.#mouth.show(options, silence);
    this.#ownMic.show(options, learnt);
    this.languages.follow(options);
  }

  budget(ms) { this.#mouth.budget(ms); }

  // `options` for another session, which has none of the files that this one has.
  async renewed(options) {
    this.ended();
    const files = { voice: this.#audioFile, picture: this.#still };
    const again = { ...options };
    for (const [key, file] of Object.entries(files)) {
      if (!again[key]?.startsWith("upload:")) continue;
      await file.ready();
      again[key] = `upload:${file.id}`;
    }
    return again;
  }

  ended() {
    this.#audioFile.forget();
    this.#still.forget();
  }

  // What was chosen the last time, as far as this server offers it.
  #restore(kept) {
    $("processing").checked = kept.processing ?? true;
    $("camera-size").value = kept.size ?? "auto";
    const voice = document.querySelector(`input[name=voice][value=${kept.voice ?? "mic"}]`);
    voice.checked = !voice.closest("label").hidden;
    if (!voice.checked) document.querySelector("input[name=voice][value=mic]").checked = true;
    percent($("under"), $("under-value"), kept.under ?? 0);
    this.#showVoice();
  }

  // Their names are known only now.
  restoreDevices() {
    for (const id of ["camera", "microphone"]) takes($(id), prefs.kept()[id]);
  }

  #device(id) {
    $("field-still").hidden = this.usesCamera;
    if (this.usesCamera) prefs.keep({ camera: this.camera || null, microphone: this.microphone || null, processing: this.processing, size: $("camera-size").value });
    if (!id.startsWith("camera")) this.#emit("devices", "microphone");
    else if (this.usesCamera === this.#onCamera) this.#emit("devices", "camera");
    else this.#newPicture();
  }

  #learns(on) {
    if (this.#inUse !== "mic") this.#emit("devices", "microphone");
    this.#emit("options", { own_mic: on });
  }

  // Between camera and still lies a new session: what the picture is, the server fixes when it begins one.
  #newPicture() {
    if (!this.usesCamera && !this.#still.chosen) return; // until there is a file, the camera goes on
    this.#onCamera = this.usesCamera;
    this.#emit("restart");
  }

  #pictureOption() {
    if (this.usesCamera) return "camera";
    return this.#still.id && `upload:${this.#still.id}`;
  }

  // A name that nobody has used; that of the room where it was asked for.
  anotherRoom() {
    if (this.kind !== "room") $("room").value = freshRoom();
    return this.#room();
  }

  // What a room may be called: letters and digits of any script.
  #room() {
    $("room").value = $("room").value.normalize("NFC").trim().replace(/[^\p{L}\p{Nd}_-]+/gu, "-") || "room";
    prefs.keepRoom($("room").value);
    return $("room").value;
  }

  #voiceOption() {
    if (this.kind === "upload") return this.#audioFile.id && `upload:${this.#audioFile.id}`;
    return this.kind === "room" ? `room:${this.#room()}` : this.kind;
  }

  #showVoice() {
    $("voice-upload").hidden = this.kind !== "upload";
    $("voice-room").hidden = this.kind !== "room";
  }

  // Until there is a file, the voice that was goes on.
  #voice() {
    this.#showVoice();
    if (this.kind !== "upload") prefs.keep({ voice: this.kind });
    if (this.kind === "upload" && this.#audioFile.chosen && !this.#audioFile.id) this.#audioFile.again();
    const voice = this.#voiceOption();
    if (!voice) return;
    this.#inUse = this.kind;
    this.#emit("devices", "microphone");
    this.#emit("options", { voice });
  }

  // Opens the page for that role, in this room alone.
  async #copyLink(role) {
    try {
      const address = linkFor(await api.makeLink(this.#room(), role), this.#share);
      $("room-hint").textContent = (await copied(address)) ? t(`settings.copied.${role}`) : address;
    } catch (error) {
      $("room-hint").textContent = `${error.message} ${error.do ?? ""}`;
    }
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

// Nobody guesses it.
function freshRoom() { return `room-${[...crypto.getRandomValues(new Uint32Array(2))].map((part) => part.toString(36)).join("")}`; }
