// The studio: puts the parts together and holds what is running.

import * as api from "./api.js";
import { Board } from "./board.js";
import { Compare } from "./compare.js";
import { Recording, save, snapshot, stamp } from "./keep.js";
import { Counsel } from "./counsel.js";
import { Keys } from "./keys.js";
import { Meter, fillDevices, openCamera, openMicrophone, requireDevices } from "./media.js";
import { Mirror } from "./mirror.js";
import { Player } from "./player.js";
import * as prefs from "./prefs.js";
import { Return, passes, shown } from "./presence.js";
import { Recordings } from "./recordings.js";
import { regain } from "./regain.js";
import * as resume from "./resume.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);
const ENROLL_S = 5;
const GHOST_S = 6; // in which the server lets go of a page that was here and is gone

const page = new URLSearchParams(location.search);
const role = ["interpreter", "viewer"].includes(page.get("role")) ? page.get("role") : "studio";
const WELCOME = {
  studio: [$("welcome-title").textContent, $("welcome-text").textContent],
  interpreter: ["You are the voice.", "Start the microphone and speak: the person in this room says it with their own mouth. Your camera is not used."],
  viewer: ["Watch live.", "The picture and the sound come from this server, already dubbed."],
};

class Studio {
  #config = null; #settings = null; #session = null; #tracks = { video: null, audio: null }; #starting = false; #since = 0; #link = "idle"; #room = null; #moved = false; #back = null; #backMs = 0; #kept = null; #enrolling = false; #lag = {}; #note;
  #board = new Board(); #compare = new Compare($("stage")); #meter = new Meter($("meter"));
  #recordings = null;
  #recording = new Recording((on, seconds) => showRecording(on, seconds), (id) => this.#recordings?.add(id), () => this.#recordings?.refresh());
  #player = new Player(() => this.#session?.id); #counsel = new Counsel((ms) => this.#settings.budget(ms));

  async load() {
    ui.clearFailure();
    try {
      this.#config = await api.config();
      if (this.#config.watch && role !== "viewer") { // a server that is for watching alone
        location.replace(`?${new URLSearchParams({ role: "viewer", room: this.#config.watch })}`);
        return;
      }
      requireRole();
    } catch (error) {
      ui.failure(error, () => this.load());
      return;
    }
    this.#show("idle");
    ui.features(this.#config.features ?? []);
    $("foot").textContent = `realtime-dub ${this.#config.version ?? ""}. The dubbed picture is synthetic: say so to those who see it.`;
    this.#settings ??= this.#choosers();
    this.#recordings ??= new Recordings(this.#config.limits?.recording_kept_s);
    this.#recordings.refresh();
    $("start").disabled = false;
    await fillDevices($("camera"), $("microphone"));
    this.#settings.restoreDevices();
    if (resume.wanted()) this.start(true);
  }

  #choosers() {
    const settings = new Settings(this.#config, page.get("room"));
    settings.addEventListener("options", (event) => this.#change(event.detail));
    settings.addEventListener("devices", (event) => this.#device(event.detail));
    settings.addEventListener("restart", () => this.#restart());
    return settings;
  }

  // The connection and the room, as one.
  #show(link) {
    this.#link = link;
    this.#moved ||= this.#room?.state === "live";
    const name = shown(role, link, this.#room, this.#moved);
    ui.state(name);
    const usual = ["idle", "asking", "failed"].includes(name) || role === "interpreter" ? WELCOME[role] : null;
    ui.scene(name, usual);
    $("clock").hidden = name !== "live";
    return name;
  }

  toggle() {
    if (!this.#session && !this.#starting && !this.#back) return this.start();
    resume.keep(false);
    return this.stop();
  }

  // `again`: by itself, after a reload; then what passes is waited for, as after a lost connection.
  async start(again = false) {
    if (this.#starting || this.#session || this.#back) return;
    if (!this.#config) return this.load();
    if (role === "studio" && !this.#settings.complete()) return;
    this.#starting = true;
    resume.keep(this.#settings.lasting);
    const focused = document.activeElement;
    ui.clearFailure();
    $("start").disabled = true;
    try {
      if (role === "studio") await this.#settings.ready();
      await this.#openDevices();
      const session = this.#connect();
      this.#running(true);
      this.#kept = this.#options();
      await session.open(this.#kept);
      if (session === this.#session) this.#settings.show(session.options);
    } catch (error) {
      if (error.status === 409 && role === "studio") this.#return("queued");
      else if (again && this.#session && passes(error)) this.#return("interrupted");
      else this.#failed(error instanceof api.ApiError ? error : new api.ApiError(0, "The session could not start.", `Reload the page and try again (${error.message}).`));
    } finally {
      this.#starting = false;
      $("start").disabled = false;
      if (focused === $("start") && document.activeElement === document.body) focused.focus(); // lost while it was disabled
    }
  }

  stop() {
    const recorded = this.#recording.running;
    this.#session?.close();
    this.#release();
    this.#show("idle");
    if (recorded) ui.notice("What was recorded is kept: see Your recordings.");
  }

  // The session is lost, the person stays: camera, microphone, settings and room are kept for the next one.
  async #return(link) {
    if (this.#back) return;
    const session = this.#session, back = this.#back = new Return();
    this.#backMs = performance.now();
    this.#kept = session.id ? session.options : this.#kept;
    session.close();
    this.#room = null;
    this.#moved = false;
    this.#recording.reset();
    this.#show(link);
    this.#running(true);
    try {
      await back.run(() => this.#openAgain(back), (name) => this.#show(name));
      if (this.#back === back) this.#back = null;
    } catch (error) {
      if (this.#back === back) this.#failed(error);
    }
  }

  async #openAgain(back) {
    this.#config = await api.askedAgain();
    if (this.#kept.room && role === "studio" && (await api.room(this.#kept.room)).sender) this.#occupied();
    if (back.over) return;
    if (Object.values(this.#tracks).some((track) => track?.readyState === "ended")) await this.#openDevices();
    const options = role === "studio" ? await this.#settings.renewed(this.#kept) : this.#kept;
    if (back.over) return;
    const session = this.#connect();
    try {
      await session.open(options);
      await session.live();
    } catch (error) {
      session.close();
      throw error;
    }
    if (session === this.#session) this.#settings.show(session.options);
  }

  // A room that was not asked for by its name gets another one: this tab is a copy of one that is live there.
  #occupied() {
    const late = performance.now() - this.#backMs > 1000 * GHOST_S;
    if (late && !page.get("room")) this.#kept = { ...this.#kept, room: this.#settings.anotherRoom() };
    throw new api.ApiError(409, "Somebody else sends in this room.", "");
  }

  #lost(session) { if (session === this.#session) this.#return("interrupted"); }

  async #restart() {
    if (!this.#session) return;
    this.stop();
    await this.start();
  }

  #options() {
    const common = role === "studio" ? this.#settings.options() : { role };
    return page.get("room") && !common.room ? { ...common, room: page.get("room") } : common;
  }

  async #openDevices() {
    if (role === "viewer") return;
    this.#show("asking");
    if (role === "studio" && this.#settings.usesCamera) this.#tracks.video = this.#watched(await openCamera(this.#settings.camera));
    if (role === "interpreter" || this.#settings.usesMicrophone) this.#tracks.audio = this.#watched(await this.#microphone());
    $("original").srcObject = this.#tracks.video && new MediaStream([this.#tracks.video]);
    this.#meter.watch(this.#tracks.audio);
    await fillDevices($("camera"), $("microphone"));
  }

  #microphone(deviceId = this.#settings.microphone) { return openMicrophone(deviceId, this.#settings.processing); }

  #watched(track) {
    track.onended = () => this.#taken(track);
    return track;
  }

  async #taken(track) {
    const { kind } = track, name = kind === "video" ? "camera" : "microphone";
    ui.notice(`The ${name} was taken away. Plug it in again, or choose another one.`, "problem");
    const { deviceId } = track.getSettings(); // that one: another may look elsewhere
    const open = () => (kind === "video" ? this.#newCamera(deviceId) : this.#newMicrophone(deviceId, !track.enabled));
    if (await regain(open, () => this.#session && this.#tracks[kind] === track) && this.#session) ui.notice(`The ${name} is back.`);
  }

  #connect() {
    const session = new Session(this.#config.ice_servers ?? [], this.#tracks, role);
    session.addEventListener("state", (event) => this.#state(event.detail));
    session.addEventListener("picture", (event) => { $("dubbed").srcObject = event.detail; });
    session.addEventListener("stats", (event) => this.#stats(event.detail));
    session.addEventListener("network", (event) => this.#network(event.detail));
    session.addEventListener("room", (event) => {
      this.#room = event.detail;
      this.#show(this.#link);
    });
    session.addEventListener("failed", (event) => { if (!this.#back) this.#failed(event.detail); });
    session.addEventListener("lost", () => this.#lost(session));
    this.#session = session;
    return session;
  }

  #state(name) {
    if (name !== "connecting" || !this.#back) this.#show(name);
    if (name !== "live") return;
    if (role === "viewer" && !this.#since) listen();
    this.#since ||= performance.now();
    this.#compare.live(true);
    for (const id of ["mute", "listen", "snapshot", "record", "enroll", "bank-save", "bank-load"]) $(id).disabled = false;
  }

  #stats(stats) {
    this.#board.server(stats);
    this.#counsel.show(stats.advice);
    this.#player.show(stats.voice);
    this.#lag.server = stats.latency_ms?.p50;
    this.#enrolled(stats.enroll);
    this.#recording.follow(stats.recording);
    if (stats.note && stats.note !== this.#note) ui.notice(stats.note); // it is told again and again
    this.#note = stats.note;
    if (stats.options) this.#settings.show(stats.options);
    const time = ui.duration(Math.floor((performance.now() - this.#since) / 1000));
    $("clock").textContent = role === "interpreter" ? time : `${time} · ${Math.round(stats.fps ?? 0)} fps`;
  }

  // How much later than the camera the dubbed picture is seen: the server's part, the way, and this browser's buffer.
  #network(sample) {
    this.#board.network(sample);
    this.#lag.way = sample.rtt_ms ?? this.#lag.way;
    this.#lag.buffer = sample.buffer_ms ?? this.#lag.buffer;
    this.#compare.delayMs = (this.#lag.server ?? 0) + (this.#lag.way ?? 0) + (this.#lag.buffer ?? 0);
  }

  async #change(options) {
    if (this.#session) resume.keep(this.#settings.lasting);
    if (this.#back) this.#kept = { ...this.#kept, ...options }; // for the session that is to come
    if (!this.#session?.id || this.#back || role !== "studio") return;
    try {
      this.#settings.show(await this.#session.change(options));
    } catch (error) {
      ui.problem(error);
      this.#settings.show(this.#session.options);
    }
  }

  // A device was chosen: the connection stays, its track is replaced.
  async #device(which) {
    if (!this.#session || role === "viewer") return;
    try {
      if (which === "camera") await this.#newCamera();
      else await this.#newMicrophone();
    } catch (error) {
      ui.problem(error);
    }
  }

  async #newCamera(deviceId = this.#settings.camera) {
    this.#tracks.video?.stop(); // first: many cameras open only once
    this.#tracks.video = this.#settings.usesCamera ? this.#watched(await openCamera(deviceId)) : null;
    if (!this.#session) return this.#release(); // stopped meanwhile
    $("original").srcObject = this.#tracks.video && new MediaStream([this.#tracks.video]);
    await this.#session.replaceVideo(this.#tracks.video);
  }

  async #newMicrophone(deviceId = this.#settings.microphone, muted = false) {
    this.#tracks.audio?.stop();
    this.#tracks.audio = role === "interpreter" || this.#settings.usesMicrophone ? this.#watched(await this.#microphone(deviceId)) : null;
    if (!this.#session) return this.#release();
    setMuted(this.#tracks.audio, muted);
    this.#meter.watch(this.#tracks.audio);
    await this.#session.replaceAudio(this.#tracks.audio);
  }

  // The stage takes the shape of the camera, which a phone changes when it is turned.
  shape() {
    const { videoWidth, videoHeight } = $(role === "viewer" ? "dubbed" : "original");
    if (videoWidth) $("stage").style.setProperty("--aspect", (videoWidth / videoHeight).toFixed(4));
  }

  mute() {
    const track = this.#tracks.audio;
    if (track) setMuted(track, track.enabled);
  }

  async record() {
    try {
      ui.notice(await this.#recording.toggle(this.#session.id));
    } catch (error) {
      ui.problem(error);
    }
  }

  async enroll() {
    try {
      await api.enroll(this.#session.id, ENROLL_S);
      this.#enrolled({ progress: 0 });
      ui.notice("Speak now, and move your lips well.");
    } catch (error) {
      ui.problem(error);
    }
  }

  #enrolled(enroll) {
    const running = Boolean(enroll) && enroll.progress < 1;
    if (this.#enrolling && !running) ui.notice("Your mouth is learnt and in use.");
    this.#enrolling = running;
    $("enroll-progress").hidden = !running;
    $("enroll").disabled = running;
    if (running) $("enroll-progress").value = enroll.progress;
  }

  async saveBank() {
    try {
      save(await api.bank(this.#session.id), `mouth-${stamp()}.bank`);
    } catch (error) {
      ui.problem(error);
    }
  }

  async loadBank(file) {
    if (!file) return;
    try {
      await api.putBank(this.#session.id, file);
      ui.notice("The mouth bank is in use.");
    } catch (error) {
      ui.problem(error);
    }
  }

  redraw() { this.#board.redraw(); }
  nextView() { if (role !== "viewer") this.#compare.next(); }
  swipe(step) { this.#compare.move(step); }

  #running(on) {
    $("room").readOnly = on; // links to it are out
    $("start").dataset.running = on ? "yes" : "no";
    $("start").querySelector("span").textContent = on ? "Stop" : "Start";
    $("start").querySelector("use").setAttribute("href", on ? "#i-stop" : "#i-play");
    $("start").disabled = false;
  }

  #failed(error) {
    resume.keep(false);
    this.#session?.close();
    this.#release();
    this.#show("failed");
    ui.failure(error, () => this.start());
  }

  #release() {
    this.#session = this.#room = null;
    this.#moved = false;
    this.#back?.cancel();
    this.#back = null;
    Object.values(this.#tracks).forEach((track) => track?.stop());
    this.#tracks = { video: null, audio: null };
    for (const id of ["original", "dubbed"]) $(id).srcObject = null;
    for (const id of ["mute", "listen", "snapshot", "record", "enroll", "bank-save", "bank-load"]) $(id).disabled = true;
    this.#meter.stop();
    this.#recording.reset();
    this.#enrolling = false;
    this.#enrolled(null);
    $("enroll").disabled = true;
    this.#since = 0;
    this.#lag = {};
    $("clock").hidden = true;
    setListening(false);
    ui.press($("mute"), false, "i-mic");
    this.#compare.live(false);
    this.#board.clear();
    this.#counsel.clear();
    this.#player.show(null);
    this.#settings?.ended();
    this.#running(false);
  }
}

// Without a secure origin nobody but a viewer can do anything here: said at once, not after the button.
function requireRole() {
  if (role !== "viewer") requireDevices();
}

function setMuted(track, muted) {
  if (track) track.enabled = !muted;
  ui.press($("mute"), muted, muted ? "i-mic-off" : "i-mic");
}

function setListening(on) {
  $("dubbed").muted = !on;
  ui.press($("listen"), on, on ? "i-sound" : "i-sound-off");
}

// Some browsers let sound begin in the click itself alone; then the picture goes on without.
async function listen() {
  setListening(true);
  try {
    await $("dubbed").play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // stopped meanwhile
    setListening(false);
    $("dubbed").play().catch(() => {});
    ui.notice("The browser holds the sound back. Press Listen to hear it.");
  }
}

function showRecording(on, seconds) {
  ui.press($("record"), on);
  $("rec-badge").hidden = !on;
  $("rec-time").textContent = ui.duration(seconds);
}

function switchTheme(studio) {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* storage refused: it holds until the page is left */ }
  studio.redraw();
}

function fullScreen() {
  if (document.fullscreenElement) return document.exitFullscreen();
  const stage = $("stage");
  if (!stage.requestFullscreen) return ui.notice("This browser has no full screen for pages. Turn the phone, or use another browser.");
  return stage.requestFullscreen().catch(() => ui.notice("The browser refused full screen. Click the button again."));
}

function wire(studio) {
  const on = (id, action) => $(id).addEventListener("click", action);
  for (const id of ["original", "dubbed"]) $(id).addEventListener("resize", () => studio.shape());
  on("start", () => studio.toggle());
  on("mute", () => studio.mute());
  on("listen", () => setListening($("dubbed").muted));
  on("record", () => studio.record());
  on("snapshot", () => snapshot($("dubbed"), $("badge")));
  on("full", fullScreen);
  on("theme", () => switchTheme(studio));
  on("help", () => $("help-dialog").showModal());
  on("prefs-forget", () => {
    prefs.forget();
    $("prefs-says").textContent = "Forgotten: the page begins anew when it is loaded again.";
  });
  on("enroll", () => studio.enroll());
  on("bank-save", () => studio.saveBank());
  $("bank-load").addEventListener("change", () => {
    studio.loadBank($("bank-load").files[0]);
    $("bank-load").value = ""; // so that the same file can be chosen again
  });
  navigator.mediaDevices?.addEventListener("devicechange", () => fillDevices($("camera"), $("microphone")));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => studio.redraw());
  window.addEventListener("pagehide", () => studio.stop());
  window.addEventListener("pageshow", (event) => { if (event.persisted && resume.wanted(true)) studio.start(true); });
  const buttons = { s: $("start"), m: $("mute"), l: $("listen"), r: $("record"), p: $("snapshot"), f: $("full"), t: $("theme"), e: $("enroll"), "?": $("help") };
  new Keys({ ...buttons, c: () => studio.nextView() }, (step) => studio.swipe(step), $("keys-on"));
}

document.body.dataset.role = role;
if (role === "viewer") $("stage").dataset.view = "dubbed";
ui.scene("idle", WELCOME[role]);
const studio = new Studio();
new Mirror($("stage"), $("original"), $("mirror"));
wire(studio);
studio.load();
