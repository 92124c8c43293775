// "Your recordings": those that this browser made, by names that nobody can guess, as long as the server keeps them.
// A reload, a Stop or a server that was started anew loses none of them.

import * as api from "./api.js";
import { save } from "./keep.js";
import { t } from "./texts.js";
import { duration, notice, problem } from "./ui.js";

const $ = (id) => document.getElementById(id);
const STORE = "recordings";
const LOOK_MS = 1000; // between two looks at one that is being made
const AGAIN_MS = 5000, TRIES = 60; // where the server does not answer
const KNOWN_MS = 86_400_000; // the server has none that is older than a day
const MOST = 50;

export class Recordings {
  #timer = 0; #tries = 0;

  constructor(keptS) {
    const minutes = Math.round((keptS ?? 3600) / 60);
    $("recordings-hint").textContent = t("recordings.hint", { minutes });
  }

  add(id) {
    write([{ id, at: Date.now() }, ...known().filter((each) => each.id !== id)]);
    this.refresh();
  }

  // What has become of them; again and again while one is being made.
  async refresh() {
    clearTimeout(this.#timer);
    const ids = known().map((each) => each.id);
    if (!ids.length) return this.#show([]);
    let found;
    try {
      found = (await api.recordings(ids)).recordings;
    } catch (error) { // the list stays as it is; a server that does not answer may come back
      if ([0, 503].includes(error.status) && this.#tries++ < TRIES) this.#timer = setTimeout(() => this.refresh(), AGAIN_MS);
      return;
    }
    this.#tries = 0;
    this.#show(found);
    clearTimeout(this.#timer);
    if (found.some((each) => each.state === "recording")) this.#timer = setTimeout(() => this.refresh(), LOOK_MS);
  }

  #show(found) {
    const begun = new Map(known().map((each) => [each.id, each.at]));
    $("recordings").hidden = !found.length;
    $("recordings-list").replaceChildren(...found.map((each) => this.#line(each, begun.get(each.id))));
  }

  #line(each, at) {
    const name = when(at);
    const line = document.createElement("li");
    line.className = "row";
    line.dataset.state = each.state;
    line.append(words(name, described(each)));
    if (each.state === "kept") {
      line.append(button("recordings.download", name, (pressed) => this.#download(each.url, at, pressed)));
      if (each.captions) line.append(button("recordings.captions", name, (pressed) => this.#download(each.captions, at, pressed, "vtt")));
      line.append(button("recordings.remove", name, () => this.#remove(each)));
    }
    return line;
  }

  async #download(url, at, pressed, kind = "mp4") {
    pressed.disabled = true;
    try {
      save(await api.download(url), `dubbed-${new Date(at).toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "")}.${kind}`);
      notice(t("recordings.saved"));
    } catch (error) {
      problem(error);
      this.refresh();
    }
    pressed.disabled = false;
  }

  async #remove(each) {
    try {
      await api.removeRecording(each.url);
      write(known().filter(({ id }) => id !== each.id));
    } catch (error) {
      problem(error);
    }
    this.refresh();
  }
}

let unstored = []; // where the browser refuses storage: until the page is left

function known() {
  let stored = unstored;
  try { stored = JSON.parse(localStorage.getItem(STORE)) ?? []; } catch { /* refused, or not ours */ }
  const young = (each) => typeof each?.id === "string" && Date.now() - each.at < KNOWN_MS;
  return Array.isArray(stored) ? stored.filter(young).slice(0, MOST) : [];
}

function write(list) {
  unstored = list;
  try { localStorage.setItem(STORE, JSON.stringify(list)); } catch { /* refused */ }
}

function when(at) { return new Date(at).toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }); }

function described({ state, seconds, size, until, note }) {
  if (state === "recording") return t("recordings.now");
  const length = seconds == null ? "" : `${duration(Math.round(seconds))}, `;
  const hour = new Date(1000 * until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const kept = t("recordings.until", { size: (size / 1e6).toFixed(1), hour });
  return `${length}${kept}${note ? `. ${t("recordings.early", { note })}` : ""}`;
}

function words(name, rest) {
  const both = document.createElement("span");
  const hint = document.createElement("span");
  hint.className = "hint";
  hint.textContent = rest;
  both.append(name, " ", hint);
  return both;
}

function button(key, name, action) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", className: "button small", textContent: t(key) });
  made.setAttribute("aria-label", t(`${key}.of`, { name }));
  made.addEventListener("click", () => action(made));
  return made;
}
