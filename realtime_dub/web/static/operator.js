// The operator's page: one room as it is told by its events, and what is done to it.

import * as api from "./api.js";
import { copied, linkFor, pageAddress } from "./invite.js";
import { save } from "./keep.js";
import { button, line, options } from "./lines.js";
import { Outputs } from "./outputs.js";
import { draw } from "./qr.js";
import { markLines } from "./speaking.js";
import { follow } from "./stream.js";
import { languageName, t, told } from "./texts.js";
import { duration, notice, problem } from "./ui.js";

const $ = (id) => document.getElementById(id);
const ROLES = ["studio", "interpreter", "viewer", "operator"];
const TAGS = ["", "ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko", "nl", "no", "pl", "pt", "ro", "ru", "sv", "sw", "th", "tr", "uk", "ur", "vi", "zh"];
const RECORDINGS_MS = 5000;

class Operator {
  #room = ""; #share = null; #end = () => {}; #told = ""; #timer = 0; #languages = []; #outputs = new Outputs();

  async begin() {
    $("link-language").append(...options(TAGS.map((tag) => [tag, tag ? languageName(tag) : t("operator.any_language")])));
    $("language-more").append(...options(TAGS.map((tag) => [tag, tag ? languageName(tag) : t("channels.add")])));
    $("language-more").addEventListener("change", () => {
      this.#setLanguages([...this.#languages, $("language-more").value]);
      $("language-more").value = "";
    });
    $("links").append(...ROLES.map((role) => this.#linkLine(role)));
    $("room-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#open($("room").value);
    });
    $("room-end").addEventListener("click", () => this.#ask(t("operator.end_room.ask", { room: this.#room }), () => api.endRoom(this.#room)));
    $("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      api.useToken($("token").value);
      this.#start();
    });
    await this.#start();
  }

  async #start() {
    try {
      this.#share = (await api.config()).share?.address;
      $("token-form").hidden = true;
    } catch (error) {
      this.#refused(error);
      return;
    }
    const asked = new URLSearchParams(location.search).get("room");
    const rooms = await api.rooms().catch(() => null); // who came by a link sees that room alone
    $("room-form").hidden = !rooms;
    if (rooms) $("rooms").replaceChildren(...options(rooms.rooms.map(({ name }) => [name, name])));
    this.#open(asked ?? rooms?.rooms[0]?.name ?? "room");
  }

  #open(name) {
    this.#end();
    this.#room = name.normalize("NFC").trim().replace(/[^\p{L}\p{Nd}_-]+/gu, "-") || "room";
    this.#told = "";
    $("room").value = $("room-name").textContent = this.#room;
    this.#end = follow(api.roomPath(this.#room, "/events"), {
      told: (room) => this.#show(room),
      state: (state) => this.#state(state),
      refused: (error) => this.#refused(error),
    });
    this.#recordings();
    this.#outputs.open(this.#room);
  }

  async #setLanguages(languages) {
    try {
      await api.setLanguages(this.#room, languages.filter(Boolean));
    } catch (error) {
      problem(error);
    }
  }

  #state(state) {
    $("state").dataset.state = state === "live" ? "live" : "busy";
    $("state-text").textContent = t(state === "live" ? "operator.connected" : "operator.interrupted");
  }

  #refused(error) {
    this.#state("interrupted");
    $("token-form").hidden = error.status !== 401;
    $("token-what").textContent = `${error.message} ${error.do ?? ""}`;
    if (error.status !== 401) problem(error);
  }

  #show(room) {
    const people = room.people.filter((each) => each.role !== "operator");
    $("room-says").textContent = t(`operator.state.${room.state}`);
    $("room-end").disabled = !people.length;
    this.#languages = room.channels.filter((each) => each.state).map((each) => each.name);
    this.#outputs.offer(room.channels.map((each) => each.name));
    const shown = JSON.stringify([room.people.map(({ speaks, ...person }) => person), room.channels]);
    const speaking = Object.fromEntries(room.people.map(({ number, speaks }) => [number, speaks]));
    markLines($("people"), speaking);
    if (shown === this.#told || document.activeElement?.matches("#people select")) return; // a list that is open stays
    this.#told = shown;
    const focused = document.activeElement?.dataset?.key;
    $("channels-none").hidden = room.channels.length > 0;
    $("channels").replaceChildren(...room.channels.map((channel) => this.#channelLine(channel)));
    $("people-none").hidden = people.length > 0;
    $("people").replaceChildren(...room.people.map((person) => this.#personLine(person)));
    markLines($("people"), speaking);
    if (focused) document.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  #channelLine(channel) {
    const { name, on_air: number, handover, state } = channel;
    const who = number === null ? t("operator.channel.nobody") : t("booth.partner", { number });
    const hands = handover ? ` · ${t("booth.others", handover)}` : "";
    const called = name ? languageName(name) : t("operator.any_language");
    const shown = state ? ` · ${t(`channels.state.${state}`)} ${told(channel, "why") ?? ""}` : "";
    const made = line(called, who + hands + shown);
    if (!state) return made;
    const acts = document.createElement("span");
    acts.className = "acts";
    acts.append(button(t("operator.delete"), called, `language-${name}`, () => this.#setLanguages(this.#languages.filter((each) => each !== name))));
    made.append(acts);
    return made;
  }

  #personLine(person) {
    const { number, role, on_air: onAir, muted } = person;
    const who = t(`operator.person.${person.program ? "program" : role}`, { number });
    const made = line(who, said(person), onAir ? t("operator.on_air") : "");
    if (role === "operator") return made;
    if (role !== "viewer") made.dataset.number = number;
    const acts = document.createElement("span");
    acts.className = "acts";
    const does = (action, key = action) => acts.append(button(t(`operator.${action}`), who, `${key}-${number}`, () => this.#act(number, action)));
    if (role !== "viewer") does(muted ? "unmute" : "mute", "mute");
    if (role === "interpreter" && !onAir && person.heard) does("air");
    if (role === "interpreter") acts.append(this.#mover(person));
    const ask = t("operator.end_person.ask", { who });
    acts.append(button(t("operator.end"), who, `end-${number}`, () => this.#ask(ask, () => api.act(this.#room, number, "end"))));
    made.append(acts);
    return made;
  }

  #mover({ number, channel }) {
    const select = document.createElement("select");
    const tags = TAGS.includes(channel) ? TAGS : [channel, ...TAGS];
    select.append(...options(tags.map((tag) => [tag, tag ? languageName(tag) : t("operator.any_language")])));
    select.value = channel;
    select.setAttribute("aria-label", t("operator.move", { number }));
    select.addEventListener("change", () => {
      select.blur();
      this.#act(number, "move", select.value);
    });
    return select;
  }

  async #act(number, action, channel = "") {
    try {
      await api.act(this.#room, number, action, channel);
    } catch (error) {
      problem(error);
    }
  }

  async #ask(words, action) {
    $("ask-what").textContent = words;
    $("ask").returnValue = "no";
    $("ask").showModal();
    await new Promise((done) => { $("ask").addEventListener("close", done, { once: true }); });
    if ($("ask").returnValue !== "yes") return;
    try {
      await action();
    } catch (error) {
      problem(error);
    }
  }

  // Links.

  #linkLine(role) {
    const name = t(`operator.role.${role}`), made = line(name, t(`operator.role.${role}.hint`));
    const acts = document.createElement("span");
    acts.className = "acts";
    acts.append(
      button(t("operator.copy"), name, `copy-${role}`, () => this.#copy(role)),
      button(t("operator.qr"), name, `qr-${role}`, () => this.#qr(role)),
      button(t("operator.revoke"), name, `revoke-${role}`, () => this.#revoke(role)),
    );
    made.append(acts);
    return made;
  }

  #made(role) {
    const channel = role === "interpreter" ? $("link-language").value : "";
    return api.makeLink(this.#room, role, channel, pageAddress(this.#share));
  }

  async #copy(role) {
    try {
      const link = await this.#made(role), address = linkFor(link, this.#share);
      const until = link.until ? t("operator.until", { when: new Date(1000 * link.until).toLocaleString() }) : "";
      $("link-says").textContent = `${(await copied(address)) ? t("operator.copied") : address} ${until}`;
    } catch (error) {
      problem(error);
    }
  }

  async #qr(role) {
    try {
      const link = await this.#made(role);
      $("qr-title").textContent = t(`operator.role.${role}`);
      $("qr-address").textContent = linkFor(link, this.#share);
      draw($("qr"), link.qr);
      $("qr-dialog").showModal();
    } catch (error) {
      problem(error);
    }
  }

  async #revoke(role) {
    try {
      await api.revokeLinks(this.#room, role);
      $("link-says").textContent = t("operator.revoked");
    } catch (error) {
      problem(error);
    }
  }

  // Recordings.

  async #recordings() {
    clearTimeout(this.#timer);
    const name = this.#room;
    try {
      const { recordings } = await api.roomRecordings(name);
      if (name !== this.#room) return;
      $("recordings-says").hidden = recordings.length > 0;
      $("recordings-says").textContent = t("operator.recordings.none");
      const shown = JSON.stringify(recordings);
      if ($("recordings").dataset.shown !== shown) $("recordings").replaceChildren(...recordings.map((each, at) => this.#recordingLine(each, at + 1)));
      $("recordings").dataset.shown = shown;
    } catch (error) {
      if (![0, 503].includes(error.status)) {
        $("recordings-says").textContent = `${error.message} ${error.do ?? ""}`;
        return;
      }
    }
    this.#timer = setTimeout(() => this.#recordings(), RECORDINGS_MS);
  }

  #recordingLine(each, number) {
    const name = t("operator.recording", { number });
    const about = each.state === "recording" ? t("operator.recording.now") : t("operator.recording.kept", {
      length: duration(Math.round(each.seconds ?? 0)), size: (each.size / 1e6).toFixed(1),
      hour: new Date(1000 * each.until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
    });
    const made = line(name, about);
    if (each.state === "recording") return made;
    const acts = document.createElement("span");
    acts.className = "acts";
    acts.append(
      button(t("operator.download"), name, `download-${number}`, () => this.#download(each.url, number)),
      ...(each.captions ? [button(t("recordings.captions"), name, `captions-${number}`, () => this.#download(each.captions, number, "vtt"))] : []),
      button(t("operator.delete"), name, `delete-${number}`, () => this.#delete(each)),
    );
    made.append(acts);
    return made;
  }

  async #download(url, number, kind = "mp4") {
    try {
      save(await api.download(url), `${this.#room}-${number}.${kind}`);
      notice(t("operator.saved"));
    } catch (error) {
      problem(error);
    }
  }

  async #delete(each) {
    try {
      await api.removeRecording(each.url);
    } catch (error) {
      problem(error);
    }
    this.#recordings();
  }
}

// How somebody fares, in a line.
function said({ role, connected, for_s: forS, statistics = {}, muted, heard }) {
  if (role === "operator") return t("operator.watches");
  const parts = [t(connected ? "operator.here" : "operator.arriving", { time: duration(forS ?? 0) })];
  if (muted) parts.push(t("booth.partner.muted"));
  if (role === "interpreter") parts.push(t(heard ? "operator.heard" : "booth.partner.unheard"));
  if (statistics.fps) parts.push(t("operator.fps", { fps: Math.round(statistics.fps) }));
  if (Number.isFinite(statistics.rtt_ms)) parts.push(t("operator.rtt", { ms: Math.round(statistics.rtt_ms) }));
  if (statistics.loss_percent > 0.5) parts.push(t("operator.loss", { percent: statistics.loss_percent.toFixed(1) }));
  if (statistics.recording) parts.push(t("operator.records"));
  return parts.join(" · ");
}

new Operator().begin();
