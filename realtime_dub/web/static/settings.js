// The choosers beside the picture: what they offer, what they are set to, and that a change acts at once.
//
// Events: "options" (a part of the session's options, to be sent), "devices" ("camera" or "microphone" was changed),
// and "restart" (what only a new session can do).

import * as api from "./api.js";
import { Avatar } from "./avatar.js";
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
  #mouth; #camera; #ownMic; #audioFile; #still; #avatar; #inUse = "mic"; // the voice that is
  #shown = "camera"; // what the picture is of
  #share; // the server's address for others

  constructor(config, room) {
    super();
    this.#share = config.share?.address;
    this.#camera = { ...USUAL, ...config.camera }; // what the server's machine holds
    $("camera-size").options[0].text = t("settings.automatic", this.#camera);
    $("camera-size").title = this.#camera.why ?? "";
    this.#holds();
    this.#mouth = new Mouth(config, (options) => this.#emit("options", options));
    this.#ownMic = new OwnMic((on) => this.#learns(on));
    this.languages = new Languages(this.#share, () => this.#room());
    this.languages.addEventListener("change", () => {
      this.#emit("devices", "microphone"); // the original is heard then
      this.#emit("options", { languages: this.languages.tags });
    });
    $("room").value = room || prefs.keptRoom() || freshRoom();
    this.#restore(prefs.kept());
    for (const id of ["camera", "camera-size", "camera-fps", "microphone", "processing"]) {
      $(id).addEventListener("change", () => this.#device(id));
    }
    for (const radio of document.querySelectorAll("input[name=voice]")) radio.addEventListener("change", () => this.#voice());
    this.#audioFile = new Picker($("sound"), "sound", config.limits);
    this.#still = new Picker($("still"), "picture", config.limits);
    this.#avatar = new Avatar(config);
    this.#avatar.addEventListener("options", (event) => { if (this.#picture === "avatar") this.#emit("options", event.detail); });
    this.#avatar.addEventListener("restart", () => this.#newPicture());
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
  get size() { return { ...this.#camera, ...SIZES[$("camera-size").value], ...this.#rate }; }
  get #rate() { return $("camera-fps").value === "auto" ? {} : { fps: Number($("camera-fps").value) }; } // else the server's
  get microphone() { return $("microphone").value; }
  get processing() { return $("processing").checked; }
  get kind() { return document.querySelector("input[name=voice]:checked").value; }
  get needsMicrophone() { return this.#inUse === "mic" || (this.#ownMic.on && this.usesCamera); }
  get usesMicrophone() { return this.needsMicrophone || this.#inUse === "room" || this.languages.tags.length > 0; } // others hear it
  get lasting() { return this.kind !== "upload" && this.usesCamera; } // a file has to be chosen anew after a reload
  get usesCamera() { return this.#picture === "camera"; }
  get #picture() { return ["still", "avatar"].includes($("camera").value) ? $("camera").value : "camera"; }

  // What a new session is opened with.
  options() {
    return { ...this.#mouth.options(), ...this.#pictureOptions(), ...this.#ownMic.options(), under: this.#under, languages: this.languages.tags, room: this.#room(), voice: this.#voiceOption() ?? "mic" };
  }

  get #under() { return $("under").value / 100; }

  // A file that was asked for and is not chosen is asked for again; nothing starts without it.
  complete() {
    const missing = this.kind === "upload" && !this.#audioFile.chosen ? this.#audioFile : this.#picture === "still" && !this.#still.chosen ? this.#still : null;
    missing?.ask();
    return !missing && (this.#picture !== "avatar" || this.#avatar.complete());
  }

  // Before a session: the files that it needs are with the server. Throws an ApiError.
  async ready() {
    if (this.kind === "upload") await this.#audioFile.ready();
    if (this.#picture === "still") await this.#still.ready();
    if (this.#picture === "avatar") await this.#avatar.ready();
    this.#inUse = this.kind;
    this.#shown = this.#picture;
  }

  show(options, { silence, own_voice: learnt, budget_ms: planned } = {}) {
    const budget = options.picture?.startsWith("avatar:") ? { budget_ms: options.budget_ms ?? planned } : {}; // it has another one
    this.#mouth.show({ ...options, ...budget }, silence);
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
    return this.#avatar.renewed(again);
  }

  ended() {
    this.#avatar.ended();
    this.#audioFile.forget();
    this.#still.forget();
  }

  // What was chosen the last time, as far as this server offers it.
  #restore(kept) {
    $("processing").checked = kept.processing ?? true;
    $("camera-size").value = kept.size ?? "auto";
    $("camera-fps").value = kept.fps ?? "auto";
    const voice = document.querySelector(`input[name=voice][value=${kept.voice ?? "mic"}]`);
    voice.checked = !voice.closest("label").hidden;
    if (!voice.checked) document.querySelector("input[name=voice][value=mic]").checked = true;
    percent($("under"), $("under-value"), kept.under ?? 0);
    this.#showVoice();
  }

  // What the server's machine holds, and which choices are above it: they can be chosen, and cost mouths.
  #holds() {
    const { width, fps } = this.#camera, over = (words, is) => (is ? t("settings.over", { words }) : words);
    for (const [name, size] of Object.entries(SIZES)) {
      const option = [...$("camera-size").options].find(({ value }) => value === name);
      option.text = over(`${size.width} × ${size.height}`, size.width > width);
    }
    $("camera-fps").options[0].text = t("settings.rate.automatic", { fps: Math.round(fps) });
    $("camera-fps").append(...prefs.RATES.map((rate) => new Option(over(rate, rate > fps), rate)));
    $("camera-hint").textContent = t("settings.holds", { ...this.#camera, fps: Math.round(fps) });
  }

  // Their names are known only now.
  restoreDevices() {
    for (const id of ["camera", "microphone"]) takes($(id), prefs.kept()[id]);
  }

  #device(id) {
    $("field-still").hidden = this.#picture !== "still";
    document.body.dataset.picture = this.#picture;
    if (id === "camera") this.#avatar.show(this.#picture === "avatar");
    if (this.usesCamera) prefs.keep({ camera: this.camera || null, microphone: this.microphone || null, processing: this.processing, size: $("camera-size").value, fps: $("camera-fps").value });
    if (!id.startsWith("camera")) this.#emit("devices", "microphone");
    else if (this.usesCamera && this.#shown === "camera") this.#emit("devices", "camera");
    else this.#newPicture();
  }

  #learns(on) {
    if (this.#inUse !== "mic") this.#emit("devices", "microphone");
    this.#emit("options", { own_mic: on });
  }

  // Between camera, still and avatar lies a new session: what the picture is, the server fixes when it begins one.
  #newPicture() {
    const there = { camera: true, still: this.#still.chosen, avatar: Boolean(this.#avatar.id) };
    if (!there[this.#picture]) return; // until there is one, what was goes on
    this.#shown = this.#picture;
    this.#emit("restart");
  }

  // An avatar has a budget of its own until somebody moves the slider while it is shown.
  #pictureOptions() {
    if (this.#picture === "avatar") return { ...this.#avatar.options(), budget_ms: null };
    return this.#picture === "still" && this.#still.id ? { picture: `upload:${this.#still.id}` } : {};
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
