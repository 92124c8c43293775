// A device that came or went while the page is live: what to do about it is offered, and never done by itself.

import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const CHOOSERS = { videoinput: "camera", audioinput: "microphone", audiooutput: "speaker" };

// What is in `now` and was not in `before`: by number, as names may be the same. The system's aliases do not count.
export function arrived(before, now) {
  const known = new Set(before.map(key));
  return now.filter((each) => each.label && !["default", "communications"].includes(each.deviceId) && !known.has(key(each)));
}

const key = ({ kind, deviceId }) => `${kind} ${deviceId}`;

export class Offers {
  #live; #known = []; #waiting = []; #now = null;

  // `live` says whether anything runs: before that the lists of the settings are enough.
  constructor(live) {
    this.#live = live;
    $("offer-use").addEventListener("click", () => this.#use());
    $("offer-not").addEventListener("click", () => this.#next());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#changed());
  }

  // What is there when it begins: no news.
  async learn() { this.#known = (await navigator.mediaDevices?.enumerateDevices?.()) ?? []; }

  // The one in use is gone. Another one of its kind is offered; without one there is nothing to choose.
  async taken(kind) {
    const there = arrived([], (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === `${kind}input`));
    if (there.length) this.#add({ device: there[0], words: t("offer.taken", { thing: t(`thing.${kind === "video" ? "camera" : "microphone"}`), name: there[0].label }) });
  }

  clear() {
    this.#waiting = [];
    this.#next();
  }

  async #changed() {
    const before = this.#known;
    await this.learn();
    const gone = ({ device }) => !this.#known.some((each) => key(each) === key(device));
    this.#waiting = this.#waiting.filter((offer) => !gone(offer));
    if (this.#now && gone(this.#now)) this.#next();
    if (!this.#live()) return;
    for (const device of arrived(before, this.#known)) {
      if (usable(device)) this.#add({ device, words: t("offer.came", { name: device.label }) });
    }
  }

  #add(offer) {
    this.#waiting.push(offer);
    if (!this.#now) this.#next();
  }

  #next() {
    this.#now = this.#waiting.shift() ?? null;
    $("offer").hidden = !this.#now;
    $("offer-text").textContent = this.#now?.words ?? "";
  }

  // As if it had been chosen in the settings: what is remembered, sent and shown follows from there.
  #use() {
    const { device } = this.#now, chooser = $(CHOOSERS[device.kind]);
    if (![...chooser.options].some((option) => option.value === device.deviceId)) chooser.append(new Option(device.label, device.deviceId));
    chooser.value = device.deviceId;
    chooser.dispatchEvent(new Event("change"));
    this.#next();
  }
}

// Whether this page has a use for it.
function usable({ kind }) {
  const field = $(`field-${CHOOSERS[kind]}`);
  return Boolean(field) && !field.hidden && (kind === "audiooutput" || getComputedStyle(field).display !== "none");
}
