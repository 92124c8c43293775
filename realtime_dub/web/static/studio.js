// The studio: holds what is running, from the first click to the end, and brings it back where it was lost.

import * as api from "./api.js";
import { Apart } from "./apart.js";
import { plain } from "./channels.js";
import { Choosing } from "./choosing.js";
import { Comeback } from "./comeback.js";
import { Compare } from "./compare.js";
import * as controls from "./controls.js";
import { Devices } from "./devices.js";
import { Figures } from "./figures.js";
import { Green } from "./green.js";
import { Recording } from "./keep.js";
import { requireDevices } from "./media.js";
import { Offers } from "./offers.js";
import { Output } from "./output.js";
import { Person } from "./person.js";
import { passes, shown } from "./presence.js";
import { Quality } from "./quality.js";
import { Recordings } from "./recordings.js";
import * as resume from "./resume.js";
import { channel, role, room, welcome } from "./role.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { showSpeaking } from "./speaking.js";
import { listen, setListening, showRecording } from "./stage.js";
import { t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);

export class Studio {
  devices = new Devices(() => this.#session); person = new Person(() => this.#session?.id);
  output = new Output($("speaker"), $("dubbed"));
  green = new Green(this.devices, this.output, () => this.start());
  booth = null; spoken = null; under = null; watched = null; captions = null; // an interpreter's; a viewer's; of who sees the dubbed picture
  #config = null; #settings = null; #session = null; #starting = false; #link = "idle"; #room = null; #moved = false;
  #lost = null; // the session that was lost, until another one is live
  #compare = new Compare($("stage")); #recordings = null; #quality = new Quality(); #offers = new Offers(() => this.#session); #apart = new Apart();
  #figures = new Figures(() => this.#session?.id, (ms) => this.#settings.budget(ms));
  #recording = new Recording(showRecording, (id) => this.#recordings?.add(id), () => this.#recordings?.refresh());
  #comeback = new Comeback({
    config: async () => { this.#config = await api.askedAgain(); },
    devices: async () => { if (this.devices.lost) await this.#openDevices(); },
    options: (kept) => this.#settings.renewed(kept),
    anotherRoom: () => this.#settings.anotherRoom(),
    open: (options) => this.#openLive(options),
  });

  get id() { return this.#session?.id; }
  get session() { return this.#session; }

  async load() {
    ui.clearFailure();
    try {
      this.#config = await api.config();
      if (this.#config.watch && role !== "viewer") { // a server that is for watching alone
        location.replace(`?${new URLSearchParams({ role: "viewer", room: this.#config.watch })}`);
        return;
      }
      if (role !== "viewer") requireDevices(); // said at once, not after the button: a secure origin is needed
    } catch (error) {
      ui.failure(error, () => this.load());
      return;
    }
    this.#show("idle");
    document.querySelector(".studio").dataset.known = "yes";
    ui.features(this.#config.features ?? []);
    $("stage").dataset.badge = this.#config.badge ?? "page"; // where it is: in the picture itself, or laid over it
    $("foot").textContent = t("studio.foot", { version: this.#config.version ?? "" });
    if (!this.#settings) {
      this.#settings = new Settings(this.#config, room);
      this.devices.addEventListener("taken", (event) => this.#offers.taken(event.detail));
      new Choosing(this.#settings, this.devices, this.#comeback, () => this.#session, () => this.#restart());
    }
    this.#recordings ??= new Recordings(this.#config.limits?.recording_kept_s);
    this.#recordings.refresh();
    $("start").disabled = false;
    await this.devices.use(this.#settings);
    if (resume.wanted() || (plain && role === "viewer")) this.start(true);
  }

  toggle() {
    if (!this.#session && !this.#starting && !this.#comeback.running) return this.#mayStart();
    resume.keep(false);
    return this.stop();
  }

  // Through the green room, where it is wanted; what is missing is asked for before.
  #mayStart() {
    if (this.#config && this.green.wanted && this.#settings.complete() && this.#settings.usesCamera) return this.green.open();
    return this.start();
  }

  // `again`: by itself, after a reload; then what passes is waited for, as after a lost connection.
  async start(again = false) {
    if (this.#starting || this.#session || this.#comeback.running) return;
    if (!this.#config) return this.load();
    if (role === "studio" && !this.#settings.complete()) return;
    this.#starting = true;
    resume.keep(this.#settings.lasting);
    const focused = document.activeElement;
    ui.clearFailure();
    $("start").disabled = true;
    try {
      await this.#open();
    } catch (error) {
      if (error.status === 409 && role === "studio") this.#return("queued");
      else if (again && this.#session && passes(error)) this.#return("interrupted");
      else this.#failed(error instanceof api.ApiError ? error : new api.ApiError(0, t("studio.failed"), t("studio.failed.do", { error: error.message })));
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
    if (recorded) ui.notice(t("studio.kept"));
  }

  async record() {
    try {
      ui.notice(await this.#recording.toggle(this.#session.id));
    } catch (error) {
      ui.problem(error);
    }
  }

  redraw() { this.#figures.redraw(); }
  nextView() { if (role === "studio") this.#compare.next(); }
  swipe(step) { this.#compare.move(step); }

  // The connection and the room, as one.
  #show(link) {
    this.#link = link;
    this.#moved ||= this.#room?.state === "live";
    const name = shown(role, link, this.#room, this.#moved);
    ui.state(name);
    ui.scene(name, ["idle", "asking", "failed"].includes(name) ? welcome() : null, role === "interpreter", room);
    this.booth?.show(link, this.#room);
    $("clock").hidden = name !== "live";
  }

  async #open() {
    if (role === "studio") await this.#settings.ready();
    await this.#openDevices();
    const session = this.#connect();
    controls.running(true);
    this.#comeback.kept = this.#options();
    await session.open(this.#comeback.kept);
    if (session === this.#session) this.#settings.show(session.options);
  }

  async #openDevices() {
    if (role !== "viewer") this.#show("asking");
    await this.devices.open();
    await this.output.restore();
    await this.#offers.learn();
  }

  #options() {
    const common = role === "studio" ? this.#settings.options() : { role, ...this.under?.options(), ...this.watched?.options(), ...(channel && role === "interpreter" ? { channel } : {}) };
    return room && !common.room ? { ...common, room } : common;
  }

  #connect() {
    const session = new Session(this.#config.ice_servers ?? [], this.devices.tracks, role);
    const on = (type, action) => session.addEventListener(type, (event) => action(event.detail));
    on("state", (name) => this.#state(name));
    on("stream", (stream) => { $("dubbed").srcObject = stream; });
    on("stats", (stats) => this.#stats(stats));
    on("network", (sample) => {
      this.#figures.network(sample);
      this.#compare.delayMs = this.#figures.delayMs;
      this.#quality.network(sample);
    });
    on("room", (state) => {
      this.#room = state;
      if (state.channel !== undefined) session.options = { ...session.options, channel: state.channel }; // for when it comes back
      this.under?.show(state);
      showSpeaking(state);
      this.watched?.show(state);
      this.spoken?.show(state, session.options);
      this.#settings.languages.show(state);
      this.#show(this.#link);
    });
    on("caption", (caption) => this.captions?.show(caption, this.#figures.bufferMs));
    on("failed", (error) => { if (!this.#comeback.running) this.#failed(error); });
    on("lost", () => { if (session === this.#session) this.#return("interrupted"); });
    this.#session = session;
    return session;
  }

  #state(name) {
    if (name !== "connecting" || !this.#comeback.running) this.#show(name);
    if (name !== "live") return;
    if (this.#figures.begin() && role !== "studio") listen();
    this.#compare.live(true);
    controls.usable(true);
  }

  #stats(stats) {
    this.#figures.server(stats);
    this.person.follow(stats.enroll);
    this.#recording.follow(stats.recording);
    if (stats.options) this.#settings.show(stats.options, stats);
  }

  async #return(link) {
    if (this.#comeback.running) return;
    const session = this.#session;
    if (session.id) {
      this.#comeback.kept = session.options;
      this.#lost = session.id;
    }
    session.close();
    this.#room = null;
    this.#moved = false;
    this.#recording.reset();
    this.#show(link);
    controls.running(true);
    try {
      await this.#comeback.run((name) => this.#show(name));
    } catch (error) {
      this.#failed(error);
    }
  }

  async #openLive(options) {
    const session = this.#connect();
    try {
      await session.open(options, this.#lost);
      await session.live();
      this.#lost = null;
    } catch (error) {
      session.close();
      throw error;
    }
    if (session === this.#session) this.#settings.show(session.options);
  }

  async #restart() {
    if (!this.#session) return this.#link === "idle" ? this.#show("idle") : undefined;
    this.stop();
    await this.start();
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
    this.#comeback.cancel();
    this.devices.release();
    $("dubbed").srcObject = null;
    this.captions?.clear();
    showSpeaking(null);
    controls.usable(false);
    this.#recording.reset();
    this.person.clear();
    setListening(false);
    this.#compare.live(false);
    this.#figures.clear();
    this.#quality.clear();
    this.#offers.clear();
    this.#settings?.ended();
    controls.running(false);
  }
}
