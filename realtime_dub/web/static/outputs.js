// What leaves a room besides to its people: an operator begins and ends it.

import * as api from "./api.js";
import { button, line, options } from "./lines.js";
import { languageName, t } from "./texts.js";
import { duration, problem } from "./ui.js";

const $ = (id) => document.getElementById(id);
const LOOK_MS = 3000, FLOOR = "floor";

const nameOf = (channel) => (channel === FLOOR ? t("channels.floor") : channel ? languageName(channel) : t("channels.own"));

export class Outputs {
  #room = ""; #timer = 0; #channels = "";

  constructor() {
    $("output-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#begin($("output-to").value.trim());
    });
    $("output-record").addEventListener("click", () => this.#begin("file"));
  }

  open(room) {
    this.#room = room;
    this.#look();
  }

  // Which channels the room has.
  offer(names) {
    const key = names.join(" ");
    if (key === this.#channels && $("output-channel").options.length) return;
    this.#channels = key;
    $("output-channel").replaceChildren(...options(["", FLOOR, ...names.filter(Boolean)].map((name) => [name, nameOf(name)])));
  }

  async #look() {
    clearTimeout(this.#timer);
    const room = this.#room;
    try {
      const { outputs, hosts } = await api.outputs(room);
      if (room !== this.#room) return;
      $("output-form").hidden = hosts.length === 0;
      $("outputs-hint").textContent = hosts.length ? t("outputs.hosts", { hosts: hosts.join(", ") }) : t("outputs.no_hosts");
      const shown = JSON.stringify(outputs);
      if ($("outputs").dataset.shown !== shown) $("outputs").replaceChildren(...outputs.map((each) => this.#line(each)));
      $("outputs").dataset.shown = shown;
    } catch (error) {
      if (![0, 503].includes(error.status)) return;
    }
    this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  #line({ number, channel, to, state, seconds, note }) {
    const where = to === "file" ? t("outputs.file") : to;
    const about = [where, t(`outputs.state.${state}`), state === "on" ? duration(Math.round(seconds)) : "", note].filter(Boolean).join(" · ");
    const made = line(nameOf(channel), about), acts = document.createElement("span");
    acts.className = "acts";
    acts.append(button(t("outputs.end"), `${nameOf(channel)} ${where}`, `output-${number}`, () => this.#act(() => api.endOutput(this.#room, number))));
    made.append(acts);
    return made;
  }

  #begin(to) {
    if (to) this.#act(() => api.beginOutput(this.#room, $("output-channel").value, to));
  }

  async #act(action) {
    try {
      await action();
    } catch (error) {
      problem(error);
    }
    this.#look();
  }
}
