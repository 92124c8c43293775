// One session with the server: peer connection, control channel, changes while it runs, and its end.
//
// Events: "picture" (a MediaStream came), "state" ("connecting" | "live" | "interrupted"), "stats" (the server's
// twice a second), "network" (this browser's, once a second), "failed" (an ApiError) and "closed".

import * as api from "./api.js";
import { NetworkSampler } from "./network.js";

const CONNECT_S = 15; // longer than any working path takes to be found
const GIVE_UP_S = 12; // after an ICE restart

const NO_PATH = ["No path to the server was found.",
  "Different networks often need help: start the server with --stun or --turn, or with --public-ip and its UDP ports open in the firewall."];

export class Session extends EventTarget {
  id = null;
  options = {};
  #pc; #control; #video; #audio; #waiting = []; #timers = new Set(); #restarted = false; #ended = false;

  // `tracks` is {video, audio}, either may be null; `role` says which directions are used.
  constructor(iceServers, tracks, role = "studio") {
    super();
    this.stream = new MediaStream();
    this.#pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#control = this.#pc.createDataChannel("control");
    this.#control.onmessage = (event) => this.#heard(event.data);
    this.#control.onclose = () => this.#lost();
    if (role !== "interpreter") this.#video = this.#transceiver("video", tracks.video, role);
    this.#audio = this.#transceiver("audio", tracks.audio, role);
    this.#pc.ontrack = (event) => this.#picture(event.track);
    this.#pc.onicecandidate = (event) => this.#candidate(event.candidate);
    this.#pc.onconnectionstatechange = () => this.#connection();
  }

  async open(options) {
    this.#emit("state", "connecting");
    this.#after(CONNECT_S, () => this.#noPath());
    await this.#pc.setLocalDescription();
    const answer = await api.openSession({ ...this.#offer(), options });
    if (this.#ended) { // stopped while the server was answering
      await api.closeSession(answer.id);
      return;
    }
    this.id = answer.id;
    this.options = answer.options ?? {};
    this.#waiting.splice(0).forEach((candidate) => this.#send(candidate));
    await this.#pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  // Acts while it runs. Resolves to the options that the server now uses.
  async change(options) {
    const answer = await api.change(this.id, options);
    this.options = answer.options ?? { ...this.options, ...options };
    return this.options;
  }

  replaceVideo(track) { return this.#video?.sender.replaceTrack(track); }
  replaceAudio(track) { return this.#audio.sender.replaceTrack(track); }

  close() {
    if (this.#ended) return;
    this.#end();
    if (this.id) api.closeSession(this.id).catch(() => {}); // the server ends a silent session by itself
    this.#emit("closed");
  }

  #transceiver(kind, track, role) {
    const direction = { studio: "sendrecv", interpreter: "sendonly", viewer: "recvonly" }[role];
    return this.#pc.addTransceiver(track ?? kind, { direction });
  }

  #offer() { return { sdp: this.#pc.localDescription.sdp, type: "offer" }; }

  #picture(track) {
    this.stream.addTrack(track);
    this.#emit("picture", this.stream);
  }

  #candidate(candidate) {
    if (this.id) this.#send(candidate);
    else this.#waiting.push(candidate);
  }

  // One that is lost is no failure: the others, or the time limit, decide.
  #send(candidate) { api.sendCandidate(this.id, candidate?.toJSON() ?? null).catch(() => {}); }

  #connection() {
    const state = this.#pc.connectionState;
    if (state === "connected") this.#connected();
    if (state === "disconnected") this.#emit("state", "interrupted");
    if (state === "failed") this.#repair();
  }

  #connected() {
    this.#clearTimers();
    this.#restarted = false;
    this.#emit("state", "live");
    const sampler = new NetworkSampler(this.#pc);
    const timer = setInterval(async () => {
      if (!this.#ended) this.#emit("network", await sampler.sample());
    }, 1000);
    this.#timers.add(timer);
  }

  async #repair() {
    if (this.#restarted || !this.id) return this.#noPath();
    this.#restarted = true;
    this.#emit("state", "interrupted");
    try {
      await this.#pc.setLocalDescription(await this.#pc.createOffer({ iceRestart: true }));
      const answer = await api.restartIce(this.id, this.#offer());
      await this.#pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
      this.#after(GIVE_UP_S, () => this.#noPath());
    } catch (error) {
      this.#fail(error instanceof api.ApiError ? error : new api.ApiError(0, ...NO_PATH));
    }
  }

  #noPath() { this.#fail(new api.ApiError(0, ...NO_PATH)); }

  #lost() {
    if (!this.#ended && this.#pc.connectionState === "connected") {
      this.#fail(new api.ApiError(0, "The server ended the session.", "Start again; if it ends again, the server's log says why."));
    }
  }

  #fail(error) {
    if (this.#ended) return;
    this.#end();
    if (this.id) api.closeSession(this.id).catch(() => {});
    this.#emit("failed", error);
  }

  #end() {
    this.#ended = true;
    this.#clearTimers();
    this.#pc.close();
  }

  #heard(text) {
    let message;
    try { message = JSON.parse(text); } catch { return; }
    if (message.t === "stats") this.#emit("stats", message);
  }

  #after(seconds, action) { this.#timers.add(setTimeout(action, 1000 * seconds)); }

  #clearTimers() {
    this.#timers.forEach((timer) => clearTimeout(timer)); // which also ends an interval
    this.#timers.clear();
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
