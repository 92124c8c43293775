// The choosers beside the picture: what they offer, what they are set to, and that a change acts at once.
//
// Events: "options" (a part of the session's options, to be sent), "devices" ("camera" or "microphone" was changed),
// "restart" (what only a new session can do) and "problem" (an ApiError).

import * as api from "./api.js";

const $ = (id) => document.getElementById(id);
const SETTLE_MS = 150; // a slider that moves is sent when it rests
const LONGEST_BUDGET_MS = 1500;

export class Settings extends EventTarget {
  #engines = []; #engine; #ahead; #uploads = { voice: null, picture: null }; #onCamera = true;
  #timer = 0; #changed = {}; #touched = new Set();
  #invite = null; // the token that links are handed on with
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
    $("sound").addEventListener("change", () => this.#upload("voice", $("sound").files[0]));
    $("still").addEventListener("change", () => this.#upload("picture", $("still").files[0]));
    $("room").addEventListener("change", () => this.#voice());
    $("room-link").addEventListener("click", () => this.#copyLink("interpreter"));
    $("watch-link").addEventListener("click", () => this.#copyLink("viewer"));
  }

  get camera() { return $("camera").value; }
  get microphone() { return $("microphone").value; }
  get processing() { return $("processing").checked; }
  get kind() { return document.querySelector("input[name=voice]:checked").value; }
  get usesMicrophone() { return this.kind === "mic"; }
  get usesCamera() { return $("camera").value !== "still"; }

  // What a new session is opened with. Only what was touched: the server knows its own defaults best.
  options() {
    const all = { engine: $("engine").value, look_ahead_ms: this.#ahead?.ms, face: $("face").value, strength: Number($("strength").value), budget_ms: this.#budgetMs };
    const chosen = Object.fromEntries(Object.entries(all).filter(([key]) => this.#touched.has(key)));
    const picture = this.usesCamera || !this.#pictureOption() ? {} : { picture: this.#pictureOption() };
    return { ...chosen, ...picture, room: this.#room(), voice: this.#voiceOption() ?? "mic" };
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
    this.#invite = config.invite;
    $("engine").replaceChildren(...this.#engines.map((engine) => new Option(engine.name, engine.name)));
    this.#choose($("engine").value);
    $("budget").value = this.#budgetMs = config.budgets?.default_ms ?? 500;
    $("sound-limit").textContent = config.limits?.upload_mb ? `up to ${config.limits.upload_mb} MB` : "";
    $("room").value = room || `room-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
    this.#label();
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
    if (id !== "camera") this.#emit("devices", "microphone");
    else if (this.usesCamera === this.#onCamera) this.#emit("devices", "camera");
    else this.#newPicture();
  }

  // Between camera and still lies a new session: what the picture is, the server fixes when it begins one.
  #newPicture() {
    if (!this.#pictureOption()) return; // the file is not here yet
    this.#onCamera = this.usesCamera;
    this.#emit("restart");
  }

  #pictureOption() {
    if (this.usesCamera) return "camera";
    return this.#uploads.picture && `upload:${this.#uploads.picture}`;
  }

  // What a room may be called is what an address may hold as it is.
  #room() {
    $("room").value = $("room").value.trim().replace(/[^\w-]+/g, "-") || "room";
    return $("room").value;
  }

  #voiceOption() {
    if (this.kind === "upload") return this.#uploads.voice && `upload:${this.#uploads.voice}`;
    return this.kind === "room" ? `room:${this.#room()}` : this.kind;
  }

  #voice() {
    $("voice-upload").hidden = this.kind !== "upload";
    $("voice-room").hidden = this.kind !== "room";
    this.#emit("devices", "microphone");
    const voice = this.#voiceOption();
    if (voice) this.#emit("options", { voice });
  }

  async #upload(use, file) {
    if (!file) return;
    try {
      this.#uploads[use] = (await api.upload(file)).id;
    } catch (error) {
      this.#emit("problem", error);
      return;
    }
    if (use === "voice") this.#voice();
    else this.#newPicture();
  }

  // The token goes behind the #: browsers send that to no server, so that it stands in no log.
  async #copyLink(role) {
    const address = new URL(location.pathname, location.href);
    address.searchParams.set("role", role);
    if (this.#invite) address.hash = new URLSearchParams({ token: this.#invite });
    address.searchParams.set("room", this.#room());
    try {
      await navigator.clipboard.writeText(address.href);
      $("room-hint").textContent = `Link copied. Whoever opens it ${role === "viewer" ? "watches" : "is the voice"}.`;
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
