// The languages of a room: a viewer watches one, an interpreter speaks one and may hear another, the speaker says which
// there are.

import * as api from "./api.js";
import { copied, linkFor } from "./invite.js";
import * as prefs from "./prefs.js";
import { channel as asked, role, room as named } from "./role.js";
import { languageName, t, told } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);
const FLOOR = "floor";
const KNOWN = ["ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "ga", "he", "hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "mt", "nl", "no", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sr", "sv", "sw", "th", "tr", "uk", "ur", "vi", "zh"];

const nameOf = (channel) => (channel === FLOOR ? t("channels.floor") : channel ? languageName(channel) : t("channels.own"));
const TAG = /^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$/;

// The choices of a list, written anew only where they are others: what has the focus keeps it.
function offer(select, channels, chosen) {
  const key = channels.join(" ");
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...channels.map((each) => new Option(nameOf(each), each)));
  }
  if (document.activeElement !== select || select.dataset.sent !== "yes") select.value = channels.includes(chosen) ? chosen : channels[0];
}

class Choice {
  #session; #select; #option;

  // `session` gives the one that runs, if any; `option` is what the list changes of it.
  constructor(select, option, session) {
    [this.#select, this.#option, this.#session] = [select, option, session];
    select.addEventListener("change", () => this.#choose(select.value));
  }

  offer(channels, chosen) { offer(this.#select, channels, chosen); }

  chosen() { /* whoever remembers it says so */ }

  async #choose(value) {
    this.chosen(value);
    this.#select.dataset.sent = "yes";
    try {
      await this.#session()?.change({ [this.#option]: value });
    } catch (error) {
      ui.problem(error);
    } finally {
      this.#select.dataset.sent = "no";
    }
  }
}

// What a viewer watches: kept in this browser, unless the address names it.
export class Watched extends Choice {
  #channel = asked ?? prefs.kept().channel ?? "";

  constructor(session) { super($("channel"), "channel", session); }

  options() { return { channel: this.#channel }; }

  chosen(channel) {
    this.#channel = channel;
    prefs.keep({ channel: channel || null });
  }

  show(room) {
    const channels = room?.channels ?? [];
    $("field-channel").hidden = channels.length === 0;
    document.body.dataset.dubbed = room?.dubbed === false ? "no" : "yes";
    if (channels.length) this.offer(["", FLOOR, ...channels.map((each) => each.name)], room.channel);
  }
}

// What an interpreter speaks, and hears.
export class Spoken {
  #speaks; #hears;

  constructor(session) {
    this.#speaks = new Choice($("own-channel"), "channel", session);
    this.#hears = new Choice($("hears"), "hears", session);
    this.#speaks.chosen = (channel) => { // a page that is loaded again has it from its address
      const address = new URL(location.href);
      address.searchParams.set("channel", channel);
      history.replaceState(null, "", address);
    };
  }

  show(room, options) {
    const channels = (room?.channels ?? []).map((each) => each.name), own = room?.channel ?? "";
    $("booth-channels").hidden = channels.length === 0;
    if (!channels.length) return;
    this.#speaks.offer(channels.includes(own) ? channels : [own, ...channels], own);
    this.#hears.offer([FLOOR, ...channels.filter((each) => each !== own)], options?.hears);
  }
}

// Which there are: the speaker's. Emits "change".
export class Languages extends EventTarget {
  #tags = (prefs.kept().languages ?? "").split("+").filter((tag) => TAG.test(tag));
  #states = {}; #share; #room;

  // `share` is the server's address for others, `room` gives the room's name.
  constructor(share, room) {
    super();
    [this.#share, this.#room] = [share, room];
    $("language-add").addEventListener("change", () => this.#add($("language-add").value));
    this.#draw();
  }

  get tags() { return [...this.#tags]; }

  show(room) {
    const states = Object.fromEntries((room?.channels ?? []).map((each) => [each.name, each]));
    if (JSON.stringify(states) === JSON.stringify(this.#states)) return;
    this.#states = states;
    this.#say();
  }

  // An operator may have changed them.
  follow(options) {
    if (role !== "studio" || !options?.languages || options.languages.join("+") === this.#tags.join("+")) return;
    this.#tags = [...options.languages];
    this.#keep();
  }

  #add(tag) {
    if (tag && !this.#tags.includes(tag)) this.#change([...this.#tags, tag]);
    $("language-add").value = "";
  }

  #change(tags) {
    this.#tags = tags;
    this.#keep();
    this.dispatchEvent(new Event("change"));
  }

  #keep() {
    prefs.keep({ languages: this.#tags.join("+") || null });
    this.#draw();
  }

  #draw() {
    $("language-list").replaceChildren(...this.#tags.map((tag, at) => this.#row(tag, at)));
    const left = KNOWN.filter((tag) => !this.#tags.includes(tag));
    $("language-add").replaceChildren(new Option(t("channels.add"), ""), ...left.map((tag) => new Option(languageName(tag), tag)));
    $("language-add").hidden = this.#tags.length >= 12;
    this.#say();
  }

  #row(tag, at) {
    const row = document.createElement("li"), name = document.createElement("select");
    const link = document.createElement("button"), remove = document.createElement("button"), state = document.createElement("span");
    const others = KNOWN.filter((each) => each === tag || !this.#tags.includes(each));
    name.append(...(others.includes(tag) ? others : [tag, ...others]).map((each) => new Option(languageName(each), each)));
    name.value = tag;
    name.ariaLabel = t("channels.language");
    name.addEventListener("change", () => this.#change(this.#tags.map((each, place) => (place === at ? name.value : each))));
    [link.type, link.className, link.textContent] = ["button", "button small", t("channels.link")];
    link.addEventListener("click", () => this.#link(tag));
    [remove.type, remove.className, remove.textContent] = ["button", "icon bordered", "✕"];
    remove.ariaLabel = t("channels.remove", { language: languageName(tag) });
    remove.addEventListener("click", () => this.#change(this.#tags.filter((each) => each !== tag)));
    [state.className, state.dataset.of] = ["hint", tag];
    row.append(name, link, remove, state);
    return row;
  }

  #say() {
    for (const says of $("language-list").querySelectorAll("[data-of]")) {
      const channel = this.#states[says.dataset.of], state = channel?.state;
      const words = state ? [t(`channels.state.${state}`), told(channel, "why")].filter(Boolean).join(" ") : "";
      if (says.textContent !== words) says.textContent = words;
    }
  }

  async #link(tag) {
    try {
      const address = linkFor(await api.makeLink(this.#room(), "interpreter", tag), this.#share);
      ui.notice((await copied(address)) ? t("settings.copied.interpreter") : address);
    } catch (error) {
      ui.problem(error);
    }
  }
}

export const plain = new URLSearchParams(location.search).has("plain") && Boolean(named); // the picture alone, for a program
