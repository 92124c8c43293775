// The avatars that there are: the server's, those that were sent from this browser, and those that are made for it.
//
// A visitor's own is known by a name that nobody can guess. This browser alone keeps it, as long as the server does.

import * as api from "./api.js";
import { Making, named } from "./making.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const STORE = "avatars";
const LOOK_MS = 2000; // between two looks at one that is being made
const MOST = 20;

export class Avatars {
  #limits; #lines = new Map(); #ready; #timer = 0; #watched = false; #offered = []; #own = [];

  // `ready` is called when those that can be chosen are others; with the id of one that has just come.
  constructor(config, ready) {
    this.#limits = config.limits ?? {};
    this.#ready = ready;
    $("avatar-file").addEventListener("change", () => this.#take($("avatar-file"), api.sendAvatar, this.#limits.upload_mb));
    $("avatar-film").addEventListener("change", () => this.#take($("avatar-film"), api.sendFilm, this.#limits.film_mb));
    this.#hint();
  }

  ask() {
    this.#say(t("avatar.first"), "problem");
    $("avatar").focus();
  }

  // Nobody looks: nothing is asked.
  rest() {
    this.#watched = false;
    clearTimeout(this.#timer);
  }

  async refresh(fresh = null) {
    this.#watched = true;
    clearTimeout(this.#timer);
    const ids = known();
    try {
      const { offered, own } = await api.avatars(ids);
      keep(ids.filter((id) => own.some((each) => each.id === id)));
      [this.#offered, this.#own] = [offered, own];
      this.#show(fresh);
    } catch (error) {
      if (![0, 503].includes(error.status)) this.#problem(error); // a server that does not answer may come back
    }
    const under_way = this.#own.some((each) => !["kept", "failed", "checked"].includes(each.state));
    clearTimeout(this.#timer);
    if (this.#watched && under_way) this.#timer = setTimeout(() => this.refresh(), LOOK_MS);
  }

  #show(fresh) {
    const before = $("avatar").value;
    const kept = this.#own.filter((each) => each.state === "kept");
    const choices = [...kept.map((each) => [named(each), each.id]), ...this.#offered.map(({ name, label }) => [label, name])];
    const told = JSON.stringify(choices);
    if ($("avatar").dataset.told !== told) {
      $("avatar").dataset.told = told;
      $("avatar").replaceChildren(...(choices.length ? choices : [[t("avatar.none"), ""]]).map(([label, id]) => new Option(label, id)));
      if (choices.some(([, id]) => id === before)) $("avatar").value = before;
    }
    if (fresh && kept.some((each) => each.id === fresh)) $("avatar").value = fresh;
    this.#list();
    this.#ready(fresh);
  }

  // Lines stay where they are: whoever has a button's focus keeps it.
  #list() {
    for (const [id, line] of this.#lines) {
      if (this.#own.some((each) => each.id === id)) continue;
      line.element.remove();
      this.#lines.delete(id);
    }
    for (const each of this.#own) {
      if (!this.#lines.has(each.id)) {
        const line = new Making(each.id, () => this.refresh(), (words, kind) => this.#say(words, kind));
        this.#lines.set(each.id, line);
        $("avatar-list").append(line.element);
      }
      this.#lines.get(each.id).show(each);
    }
    $("avatar-list").hidden = !this.#own.length;
  }

  async #take(input, send, mostMb = Infinity) {
    const [file] = input.files;
    if (!file) return; // the dialog was closed
    input.value = ""; // so that the same file can be chosen again
    if (file.size > 1e6 * mostMb) {
      return this.#say(`${t("picker.has", { name: file.name, mb: Math.ceil(file.size / 1e6) })} ${t("picker.most", { mb: mostMb })}`, "problem");
    }
    this.#say(t("picker.sending", { name: file.name }));
    input.disabled = true;
    try {
      const { id, state } = await send(file);
      keep([id, ...known()]);
      this.#say(state === "kept" ? t("avatar.came") : t("avatar.taken"));
      await this.refresh(id);
    } catch (error) {
      this.#problem(error);
    }
    input.disabled = false;
  }

  #hint() { this.#say(t("avatar.hint", { mb: this.#limits.upload_mb ?? 50 })); }
  #problem(error) { this.#say(`${error.message} ${error.do ?? ""}`, "problem"); }

  #say(words, kind = "word") {
    $("avatar-says").dataset.kind = kind;
    $("avatar-says").textContent = words;
  }
}

let unstored = []; // where the browser refuses storage: until the page is left

function known() {
  let stored = unstored;
  try { stored = JSON.parse(localStorage.getItem(STORE)) ?? []; } catch { /* refused, or not ours */ }
  return Array.isArray(stored) ? stored.filter((id) => /^[\w-]{1,64}$/.test(id)).slice(0, MOST) : [];
}

function keep(ids) {
  unstored = ids.slice(0, MOST);
  try { localStorage.setItem(STORE, JSON.stringify(unstored)); } catch { /* refused */ }
}
