// One session with the server: peer connection, control channel, changes while it runs, and its end.
//
// Events: "stream" (a MediaStream came), "state" ("connecting" | "live" | "interrupted"), "stats" (the server's
// twice a second), "room" (its state), "caption" (said now), "network" (this browser's, once a second), "failed" (an ApiError; no path was
// found), "lost" (it was live, and another session may be) and "closed".

import * as api from "./api.js";
import { consented } from "./consent.js";
import { Link } from "./link.js";
import { NetworkSampler } from "./network.js";
import { t } from "./texts.js";

const CONNECT_S = 15; // longer than any working path takes to be found
const PATIENCE_S = 3; // a short disturbance mends itself
const TRY_S = 8; // for one new connection, after which another is tried
const GIVE_UP_S = 45; // the server ends a session that is away for that long
const PAUSE_S = 0.5;
const GONE = [401, 404]; // the answer of a server that was started anew, maybe with another token
const SILENT_S = 2, DEAD_S = 4; // the server says something twice a second; so long nothing, and the path is dead

const NO_PATH = [t("session.no_path"),
  t("session.no_path.do")];
const ENDED = [t("session.ended"), t("session.ended.do")];
const AWAY = [t("session.away"),
  t("session.away.do")];

export class Session extends EventTarget {
  id = null;
  options = {};
  #link; #role; #iceServers; #tracks;
  #timers = new Set(); #repairing = false; #ended = false; #heardAt = 0; #asking = false;
  #changes = null; #changing = null;
  #path = () => navigator.connection?.type;
  #lastPath = this.#path();

  // `tracks` is {video, audio}, either may be null; `role` says which directions are used.
  constructor(iceServers, tracks, role = "studio") {
    super();
    this.#iceServers = iceServers;
    this.#tracks = { ...tracks };
    this.#role = role;
    this.#link = this.#newLink();
    window.addEventListener("online", this.#moved);
    navigator.connection?.addEventListener("change", this.#mayHaveMoved);
  }

  // `after`: the session that this page had and lost, of which the server may have kept what it knew of the person.
  async open(wanted, after = null) {
    const options = await consented(wanted);
    this.#emit("state", "connecting");
    this.#after(CONNECT_S, () => this.#noPath());
    const answer = await api.openSession({ ...(await this.#link.offer()), options, ...(after ? { after } : {}) });
    if (this.#ended) { // stopped while the server was answering
      await api.closeSession(answer.id);
      return;
    }
    this.id = answer.id;
    this.options = answer.options ?? {};
    await this.#link.answered(answer.sdp);
  }

  // Acts while it runs. Resolves to the options that the server now uses. What is changed meanwhile goes together.
  change(options) {
    this.#changes = { ...this.#changes, ...options };
    this.#changing ??= this.#change().finally(() => { this.#changing = null; });
    return this.#changing;
  }

  async #change() {
    while (this.#changes) {
      const changes = this.#changes;
      this.#changes = null;
      const answer = await api.change(this.id, await consented(changes));
      this.options = answer.options ?? { ...this.options, ...changes };
    }
    return this.options;
  }

  // Resolves when it is; rejects where it will not be.
  live() {
    if (this.#link.state === "connected") return Promise.resolve();
    if (this.#ended) return Promise.reject(new api.ApiError(0, ...ENDED));
    return new Promise((done, refuse) => {
      this.addEventListener("state", (event) => { if (event.detail === "live") done(); });
      for (const end of ["failed", "lost", "closed"]) {
        this.addEventListener(end, (event) => refuse(event.detail ?? new api.ApiError(0, ...ENDED)));
      }
    });
  }

  replaceVideo(track) {
    this.#tracks.video = track;
    return this.#link.replaceVideo(track);
  }

  replaceAudio(track) {
    this.#tracks.audio = track;
    return this.#link.replaceAudio(track);
  }

  close() {
    if (this.#ended) return;
    this.#end();
    if (this.id) api.closeSession(this.id).catch(() => {}); // the server ends a silent session by itself
    this.#emit("closed");
  }

  // A new connection with the present tracks. What an earlier one still says is not heard any more.
  #newLink() {
    const heard = (action) => (what) => { if (link === this.#link) action(what); };
    const link = new Link(this.#iceServers, this.#tracks, this.#role, {
      message: heard((text) => this.#heard(text)),
      closed: heard(() => this.#lost()),
      stream: heard((stream) => this.#emit("stream", stream)),
      candidate: heard((candidate) => this.#send(candidate)),
      state: heard((state) => this.#changed(state)),
    });
    return link;
  }

  // One that is lost is no failure: the others, or the time limit, decide.
  #send(candidate) { api.sendCandidate(this.id, candidate?.toJSON() ?? null).catch(() => {}); }

  #changed(state) {
    if (state === "connected") this.#connected();
    if (state === "disconnected") {
      this.#emit("state", "interrupted");
      this.#after(PATIENCE_S, () => { if (this.#link.state !== "connected") this.#repair(); });
    }
    if (state === "failed") this.#repair();
  }

  // Another network: the old path is dead, whatever the connection still believes.
  #moved = () => { if (this.id) this.#repair(); };
  #mayHaveMoved = () => {
    const before = this.#lastPath;
    this.#lastPath = this.#path();
    if (before !== this.#lastPath && this.#lastPath !== "none") this.#moved();
  };

  #connected() {
    this.#clearTimers();
    this.#emit("state", "live");
    const sampler = new NetworkSampler(this.#link.peer);
    this.#heardAt = performance.now();
    const timer = setInterval(async () => {
      this.#listen();
      const sample = await sampler.sample();
      if (this.#timers.has(timer)) this.#emit("network", sample);
    }, 1000);
    this.#timers.add(timer);
  }

  // Nothing was said for a while: is there still such a session, or a server at all? Also after a laptop slept.
  async #listen() {
    if (this.#asking || performance.now() - this.#heardAt < 1000 * SILENT_S) return;
    this.#asking = true;
    try {
      await api.session(this.id);
      if (performance.now() - this.#heardAt > 1000 * DEAD_S) this.#repair();
    } catch (error) {
      if (GONE.includes(error.status)) this.#lose(ENDED);
      if (error.status === 0) this.#repair();
    } finally {
      this.#asking = false;
    }
  }

  // The session on the server goes on; it is given a new connection, again and again until one holds.
  async #repair() {
    if (this.#repairing || this.#ended) return;
    if (!this.id) return this.#noPath();
    this.#repairing = true;
    this.#clearTimers();
    this.#emit("state", "interrupted");
    const until = performance.now() + 1000 * GIVE_UP_S;
    while (!this.#ended && !(await this.#tryAgain())) {
      if (performance.now() > until) this.#lose(AWAY);
      await pause(PAUSE_S);
    }
    this.#repairing = false;
  }

  // True where the new connection holds. The old one is closed once the server has let go of it.
  async #tryAgain() {
    const before = this.#link;
    const link = this.#link = this.#newLink();
    try {
      const answer = await api.restartIce(this.id, await link.offer());
      await link.answered(answer.sdp);
      return await link.connects(TRY_S);
    } catch (error) {
      if (GONE.includes(error.status)) this.#lose(ENDED); // it has ended meanwhile, or the server was started anew
      return false;
    } finally {
      before.close();
    }
  }

  #noPath() { this.#fail(new api.ApiError(0, ...NO_PATH)); }

  #lost() {
    if (!this.#ended && this.#link.state === "connected") {
      this.#lose(ENDED);
    }
  }

  #lose(words) { this.#over("lost", new api.ApiError(0, ...words)); }

  #fail(error) { this.#over("failed", error); }

  #over(how, error) {
    if (this.#ended) return;
    this.#end();
    if (this.id) api.closeSession(this.id).catch(() => {});
    this.#emit(how, error);
  }

  #end() {
    this.#ended = true;
    window.removeEventListener("online", this.#moved);
    navigator.connection?.removeEventListener("change", this.#mayHaveMoved);
    this.#clearTimers();
    this.#link.close();
  }

  #heard(text) {
    let message;
    try { message = JSON.parse(text); } catch { return; }
    this.#heardAt = performance.now();
    if (message.t === "end") return this.#dismissed(api.words(message));
    if (message.room) this.#emit("room", message.room);
    if (message.t === "stats") this.#emit("stats", message);
    if (message.t === "caption") this.#emit("caption", message);
  }

  // For good: an operator has ended it, or its link was revoked.
  #dismissed(said) { this.#fail(new api.ApiError(403, said.what, said.do)); }

  #after(seconds, action) { this.#timers.add(setTimeout(action, 1000 * seconds)); }

  #clearTimers() {
    this.#timers.forEach((timer) => clearTimeout(timer)); // which also ends an interval
    this.#timers.clear();
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

const pause = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds); });
