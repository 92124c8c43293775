// The choosers beside the picture: what they offer, what they are set to, and that a change acts at once.
//
// Events: "options" (a part of the session's options, to be sent), "devices" ("camera" or "microphone" was changed),
// and "restart" (what only a new session can do).

import { Picker } from "./picker.js";
import * as prefs from "./prefs.js";

const $ = (id) => document.getElementById(id);
const SETTLE_MS = 150; // a slider that moves is sent when it rests
const LONGEST_BUDGET_MS = 1500;

export class Settings extends EventTarget {
  #engines = []; #engine; #ahead; #sound; #still; #onCamera = true; #inUse = "mic"; // the voice that is
  #timer = 0; #changed = {}; #touched = new Set();
  #budgetMs = 0; // exact, where the slider goes in steps

  constructor(config, room) {
    super();
    this.#offer(config, room);
    this.#live("engine", () => this.#otherEngine());
    this.#live("ahead", () => this.#lookAhead(Number($("ahead").value)));
    this.#live("strength", () => ({ strength: Number($("strength").value) }));
    this.#live("face", () => ({ face: $("face").value }));
    this.#live("budget", () => {
      this.#budgetMs = Number($("budget").value);
      return { budget_ms: this.#budgetMs };
    });
    for (const id of ["camera", "microphone", "processing"]) {
      $(id).addEventListener("change", () => this.#device(id));
    }
    for (const radio of document.querySelectorAll("input[name=voice]")) radio.addEventListener("change", () => this.#voice());
    this.#sound = new Picker($("sound"), "sound", config.limits);
    this.#still = new Picker($("still"), "picture", config.limits);
    this.#sound.addEventListener("ready", () => this.#voice());
    this.#still.addEventListener("ready", () => this.#newPicture());
    $("room").addEventListener("change", () => this.#voice());
    $("room-link").addEventListener("click", () => this.#copyLink());
  }

  get camera() { return $("camera").value; }
  get microphone() { return $("microphone").value; }
  get processing() { return $("processing").checked; }
  get kind() { return document.querySelector("input[name=voice]:checked").value; }
  get usesMicrophone() { return this.#inUse === "mic"; }
  get usesCamera() { return $("camera").value !== "still"; }

  // What a new session is opened with. Only what was touched: the server knows its own defaults best.
  options() {
    const all = { engine: $("engine").value, look_ahead_ms: this.#ahead?.ms, face: $("face").value, strength: Number($("strength").value), budget_ms: this.#budgetMs };
    const chosen = Object.fromEntries(Object.entries(all).filter(([key]) => this.#touched.has(key)));
    const picture = this.usesCamera || !this.#pictureOption() ? {} : { picture: this.#pictureOption() };
    const room = this.kind === "room" ? { room: this.#room() } : {};
    return { ...chosen, ...picture, ...room, voice: this.#voiceOption() ?? "mic" };
  }

  // A file that was asked for and is not chosen is asked for again; nothing starts without it.
  complete() {
    const missing = this.kind === "upload" && !this.#sound.chosen ? this.#sound : !this.usesCamera && !this.#still.chosen ? this.#still : null;
    missing?.ask();
    return !missing;
  }

  // Before a session: the files that it needs are with the server. Throws an ApiError.
  async ready() {
    if (this.kind === "upload") await this.#sound.ready();
    if (!this.usesCamera) await this.#still.ready();
    this.#inUse = this.kind;
    this.#onCamera = this.usesCamera;
  }

  ended() {
    this.#sound.forget();
    this.#still.forget();
  }

  // As if it had been chosen; not kept for the next time, as it is this hour's need.
  budget(ms) {
    this.#budgetMs = ms;
    $("budget").value = ms;
    this.#touched.add("budget_ms");
    this.#label();
    this.#emit("options", { budget_ms: ms });
  }

  // The server's word on what it uses; a slider under a finger is left alone.
  show(options) {
    if (this.#timer) return;
    this.#budgetMs = options.budget_ms ?? this.#budgetMs;
    if (options.engine && options.engine !== this.#engine?.name) this.#choose(options.engine);
    if (options.look_ahead_ms != null) this.#showAhead(options.look_ahead_ms);
    for (const [key, id] of [["engine", "engine"], ["face", "face"], ["strength", "strength"], ["budget_ms", "budget"]]) {
      if (options[key] != null && document.activeElement !== $(id)) $(id).value = options[key];
    }
    this.#label();
  }

  #offer(config, room) {
    this.#engines = config.engines ?? [];
    $("engine").replaceChildren(...this.#engines.map((engine) => new Option(engine.name, engine.name)));
    this.#choose($("engine").value);
    $("budget").value = this.#budgetMs = config.budgets?.default_ms ?? 500;
    $("room").value = room || prefs.keptRoom() || `room-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
    this.#restore(prefs.kept());
    this.#label();
  }

  // What was chosen the last time, as far as this server offers it.
  #restore(kept) {
    const offered = { engine: kept.engine, face: kept.face, strength: kept.strength };
    for (const [id, value] of Object.entries(offered)) if (this.#takes(id, value)) this.#touched.add(id);
    if (this.#touched.has("engine")) this.#choose($("engine").value);
    if (this.#engine?.look_aheads?.some(({ ms }) => ms === kept.look_ahead_ms)) {
      this.#showAhead(kept.look_ahead_ms);
      this.#touched.add("look_ahead_ms");
    }
    if (this.#touched.has("engine") || this.#touched.has("look_ahead_ms")) this.#budgetMs = this.#ahead.default_ms;
    if (kept.budget_ms >= this.#ahead.min_ms && kept.budget_ms <= Number($("budget").max)) {
      this.#budgetMs = kept.budget_ms;
      this.#touched.add("budget_ms");
    }
    $("budget").value = this.#budgetMs;
    if (kept.processing !== undefined) $("processing").checked = kept.processing;
    const voice = document.querySelector(`input[name=voice][value=${kept.voice ?? "mic"}]`);
    voice.checked = !voice.closest("label").hidden;
    if (!voice.checked) document.querySelector("input[name=voice][value=mic]").checked = true;
    this.#showVoice();
  }

  // Whether the control has that value now.
  #takes(id, value) {
    if (value === undefined) return false;
    const before = $(id).value;
    $(id).value = value;
    if ($(id).value === String(value)) return true;
    $(id).value = before;
    return false;
  }

  // Their names are known only now.
  restoreDevices() {
    for (const id of ["camera", "microphone"]) this.#takes(id, prefs.kept()[id]);
  }

  // An engine, with its usual look-ahead.
  #choose(name) {
    this.#engine = this.#engines.find((engine) => engine.name === name);
    const offered = this.#engine?.look_aheads ?? [];
    $("ahead").replaceChildren(...offered.map(({ ms }) => new Option(`${ms} ms`, ms)));
    $("field-ahead").hidden = offered.length < 2;
    this.#showAhead(this.#engine?.look_ahead_ms ?? 0);
  }

  #showAhead(ms) {
    this.#ahead = this.#engine?.look_aheads?.find((each) => each.ms === ms) ?? { ms, min_ms: 0, default_ms: 500 };
    $("ahead").value = ms;
    const step = Number($("budget").step);
    const { min_ms, default_ms } = this.#ahead;
    Object.assign($("budget"), { min: Math.ceil(min_ms / step) * step, max: Math.max(LONGEST_BUDGET_MS, 2 * default_ms) });
  }

  #otherEngine() {
    const before = this.#ahead;
    this.#choose($("engine").value);
    return { engine: $("engine").value, look_ahead_ms: null, ...this.#moved(before) };
  }

  #lookAhead(ms) {
    const before = this.#ahead;
    this.#showAhead(ms);
    return { look_ahead_ms: ms, ...this.#moved(before) };
  }

  // Hearing further ahead takes longer: the budget moves with it, what is left for the rest stays.
  #moved(before) {
    const { min_ms, default_ms } = this.#ahead;
    this.#budgetMs = Math.max(min_ms, this.#budgetMs + default_ms - before.default_ms);
    $("budget").value = this.#budgetMs;
    return { budget_ms: this.#budgetMs };
  }

  #live(id, what) {
    $(id).addEventListener("input", () => {
      const read = what();
      Object.assign(this.#changed, read);
      Object.keys(read).forEach((key) => this.#touched.add(key));
      prefs.keep(read);
      this.#label();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#settled(), SETTLE_MS);
    });
  }

  #settled() {
    this.#timer = 0;
    this.#emit("options", this.#changed);
    this.#changed = {};
  }

  #label() {
    const ahead = this.#ahead.ms;
    $("engine-hint").textContent = this.#engine ? `Hears ${ahead} ms ahead before it draws a mouth.` : "The server offers no engine.";
    $("strength-value").textContent = `${Math.round(100 * Number($("strength").value))} %`;
    const budget = Math.round(this.#budgetMs);
    $("budget-value").textContent = `${budget} ms`;
    $("budget-hint").textContent = `${ahead} ms for hearing ahead, ${Math.max(0, budget - ahead)} ms for the rest. Less is quicker, more is steadier.`;
    $("budget-bar").style.setProperty("--share", `${Math.min(100, (100 * ahead) / Math.max(1, budget))}%`);
    for (const slider of [$("strength"), $("budget")]) fillTrack(slider);
  }

  #device(id) {
    $("field-still").hidden = this.usesCamera;
    if (this.usesCamera) prefs.keep({ camera: this.camera || null, microphone: this.microphone || null, processing: this.processing });
    if (id !== "camera") this.#emit("devices", "microphone");
    else if (this.usesCamera === this.#onCamera) this.#emit("devices", "camera");
    else this.#newPicture();
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

  // What a room may be called: letters and digits of any script.
  #room() {
    $("room").value = $("room").value.normalize("NFC").trim().replace(/[^\p{L}\p{Nd}_-]+/gu, "-") || "room";
    prefs.keepRoom($("room").value);
    return $("room").value;
  }

  #voiceOption() {
    if (this.kind === "upload") return this.#sound.id && `upload:${this.#sound.id}`;
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
    if (this.kind === "upload" && this.#sound.chosen && !this.#sound.id) this.#sound.again();
    const voice = this.#voiceOption();
    if (!voice) return;
    this.#inUse = this.kind;
    this.#emit("devices", "microphone");
    this.#emit("options", { voice });
  }

  async #copyLink() {
    const address = new URL(location.pathname, location.href);
    address.searchParams.set("role", "interpreter");
    address.searchParams.set("room", this.#room());
    try {
      await navigator.clipboard.writeText(address.href);
      $("room-hint").textContent = "Link copied. Whoever opens it is the voice.";
    } catch {
      $("room-hint").textContent = address.href;
    }
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

export function fillTrack(slider) {
  const share = (Number(slider.value) - Number(slider.min)) / (Number(slider.max) - Number(slider.min) || 1);
  slider.style.setProperty("--fill", `${100 * share}%`);
}
