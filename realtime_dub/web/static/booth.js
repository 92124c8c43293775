// What an interpreter works with: the sign that says who is on air, the cough button, the partners, the handover.

import * as api from "./api.js";
import { markLines } from "./speaking.js";
import { languageName, t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);

// `room` as the server tells it, `silent` while the own microphone is held or muted: on, muted, waiting or off.
export function sign(link, room, silent) {
  if (link !== "live" || !room?.floor) return "off";
  if (room.floor !== "you") return "waiting";
  return silent || room.muted ? "muted" : "on";
}

// What the own page has to do with a handover: null, "asked" (we confirm), "asking" (they confirm) or "others".
export function part(room) {
  const handover = room?.handover;
  if (!handover) return null;
  if (handover.by === room.you) return "asking";
  return [handover.from, handover.to].includes(room.you) ? "asked" : "others";
}

export class Booth {
  #id; #devices; #link = "idle"; #room = null; #silent = false; #busy = false;

  // `id` gives the session's; `devices` has the microphone.
  constructor(id, devices) {
    this.#id = id;
    this.#devices = devices;
    devices.addEventListener("silent", (event) => {
      this.#silent = event.detail;
      this.#draw();
    });
    $("handover-propose").addEventListener("click", () => this.#step("propose"));
    $("handover-confirm").addEventListener("click", () => this.#step("confirm"));
    $("handover-withdraw").addEventListener("click", () => this.#step("withdraw"));
    this.#hold($("cough"));
    this.#draw();
  }

  show(link, room) {
    this.#link = link;
    this.#room = room;
    this.#draw();
  }

  // Held down, by whatever: silent. Never longer, whatever takes the focus away.
  cough(on) {
    if (on && $("cough").disabled) return;
    this.#devices.cough(on);
    $("cough").setAttribute("aria-pressed", on);
  }

  #hold(button) {
    const keys = [" ", "Enter"];
    const held = (on) => (event) => {
      if (event.type.startsWith("key") && (!keys.includes(event.key) || event.repeat)) return;
      if (event.type.startsWith("key")) event.preventDefault();
      if (event.type === "pointerdown") button.setPointerCapture(event.pointerId);
      this.cough(on);
    };
    for (const name of ["pointerdown", "keydown"]) button.addEventListener(name, held(true));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture", "keyup"]) button.addEventListener(name, held(false));
    for (const name of ["blur", "contextmenu"]) button.addEventListener(name, () => this.cough(false));
    window.addEventListener("blur", () => this.cough(false));
    document.addEventListener("visibilitychange", () => this.cough(false));
  }

  async #step(action) {
    this.#busy = true;
    this.#draw();
    try {
      await api.floor(this.#id(), action);
    } catch (error) {
      ui.problem(error);
    } finally {
      this.#busy = false;
      this.#draw();
    }
  }

  #draw() {
    const room = this.#room, name = sign(this.#link, room, this.#silent);
    const words = room?.muted && name !== "off" ? "booth.muted_by_operator" : `booth.air.${name}`;
    $("booth").dataset.air = name;
    say($("air-text"), t(words));
    say($("booth-language"), room?.channel ? t("booth.language", { language: languageName(room.channel) }) : "");
    $("cough").disabled = this.#link !== "live";
    this.#drawPartners(this.#link === "live" ? room?.partners ?? [] : []);
    this.#drawHandover(this.#link === "live" ? room : null);
  }

  #drawPartners(partners) {
    const words = partners.map(({ number, heard, muted, program }) => {
      const state = number === this.#room.on_air ? "on_air" : muted ? "muted" : heard ? "ready" : "unheard";
      return [state, t(program ? "booth.program" : "booth.partner", { number }), t(`booth.partner.${state}`), number];
    });
    const key = JSON.stringify(words);
    if ($("partners").dataset.key !== key) { // else a reader of the screen would be told again
      $("partners").dataset.key = key;
      $("partners").replaceChildren(...words.map((each) => row(...each)));
      $("partners-none").hidden = words.length > 0;
    }
    markLines($("partners"), Object.fromEntries(partners.map(({ number, speaks }) => [number, speaks])));
  }

  #drawHandover(room) {
    const mine = part(room), partners = room?.partners ?? [];
    const other = room?.handover && (room.handover.from === room.you ? room.handover.to : room.handover.from);
    const gives = room?.handover?.from === room?.you;
    const key = { asked: gives ? "booth.asked.give" : "booth.asked.take", asking: "booth.asking", others: "booth.others" }[mine];
    say($("handover-text"), key ? t(key, { number: other, from: room.handover.from, to: room.handover.to }) : "");
    const offers = room?.floor === "you";
    $("handover-propose").hidden = Boolean(mine);
    $("handover-propose").disabled = this.#busy || !room?.floor || !partners.some((each) => each.heard);
    say($("handover-propose"), t(offers ? "booth.offer" : "booth.ask"));
    $("handover-confirm").hidden = mine !== "asked";
    say($("handover-confirm"), t(gives ? "booth.confirm.give" : "booth.confirm.take"));
    $("handover-withdraw").hidden = !["asked", "asking"].includes(mine);
    say($("handover-withdraw"), t(mine === "asked" ? "booth.not_now" : "booth.withdraw"));
    $("handover-confirm").disabled = $("handover-withdraw").disabled = this.#busy;
    $("booth").dataset.asked = mine === "asked" ? "yes" : "no";
  }
}

function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function row(state, who, what, number) {
  const item = document.createElement("li");
  const [name, told] = [document.createElement("span"), document.createElement("span")];
  Object.assign(item.dataset, { state, number });
  [name.textContent, told.textContent, told.className] = [who, what, "hint"];
  item.append(name, told);
  return item;
}
