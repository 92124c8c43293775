// Captions under the dubbed picture: chosen per device, plain text, shown when what they say is heard here.

import * as prefs from "./prefs.js";
import { languageName, t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const FIXED = ["off", "heard"];

// Whether one is to be shown: "off", "heard" (what the voice says), or a language's tag.
export function wanted(choice, caption) {
  return choice === "heard" ? caption.heard : choice !== "off" && caption.channel === choice;
}

export class Captions {
  #choice; #languages = new Set(); #timers = new Set(); #shown = 0;

  // An address with ?captions=1, as a streaming program opens it, has them on whatever was chosen here before.
  constructor(asked = new URLSearchParams(location.search).get("captions")) {
    const kept = prefs.kept();
    this.#choice = asked && asked !== "0" ? (asked === "1" ? "heard" : asked) : kept.captions ?? "off";
    $("captions-size").value = kept.caption_size ?? "medium";
    $("captions-reader").checked = kept.caption_reader ?? false;
    $("captions-choice").addEventListener("change", () => this.#choose($("captions-choice").value));
    $("captions-size").addEventListener("change", () => this.#keep({ caption_size: $("captions-size").value }));
    $("captions-reader").addEventListener("change", () => this.#keep({ caption_reader: $("captions-reader").checked }));
    if (!FIXED.includes(this.#choice)) this.#languages.add(this.#choice);
    this.#draw();
  }

  // As the server tells it, in the moment in which its voice leaves there; `waitMs` is what this browser's buffer holds.
  show(caption, waitMs = 0) {
    this.#offer(caption.channel);
    if (!wanted(this.#choice, caption)) return;
    this.#after(waitMs, () => this.#put(caption));
  }

  clear() {
    this.#timers.forEach((timer) => clearTimeout(timer));
    this.#timers.clear();
    this.#languages.clear();
    $("captions").hidden = true;
    this.#draw();
  }

  #put({ number, text, for_ms: forMs }) {
    this.#shown = number;
    $("captions").hidden = false;
    $("caption").textContent = text;
    this.#after(forMs, () => {
      if (this.#shown !== number) return;
      $("captions").hidden = true;
      $("caption").textContent = "";
    });
  }

  #offer(channel) {
    if (!$("captions-bar").hidden && (!channel || this.#languages.has(channel))) return;
    if (channel) this.#languages.add(channel);
    $("captions-bar").hidden = false;
    this.#draw();
  }

  #choose(choice) {
    this.#choice = choice;
    if (choice === "off") $("captions").hidden = true;
    this.#keep({ captions: choice });
  }

  #keep(choices) {
    prefs.keep(choices);
    this.#draw();
  }

  #draw() {
    const select = $("captions-choice"), tags = [...this.#languages].sort();
    const missing = tags.filter((tag) => ![...select.options].some((option) => option.value === tag));
    select.append(...missing.map((tag) => new Option(languageName(tag), tag)));
    for (const option of [...select.options]) {
      if (![...FIXED, ...tags, this.#choice].includes(option.value)) option.remove();
    }
    select.value = this.#choice;
    if (this.#choice !== "off") $("captions-bar").hidden = false;
    $("captions").dataset.size = $("captions-size").value;
    $("captions").setAttribute("aria-live", $("captions-reader").checked ? "polite" : "off");
    $("captions").setAttribute("aria-label", t("captions.name"));
  }

  #after(ms, action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }
}
