// An avatar in the camera's place: which one, what is behind it, how large it is, how its head moves.
//
// Events: "options" (a part of the session's options, to be sent) and "restart" (another avatar needs another session).

import * as api from "./api.js";
import { Avatars } from "./avatars.js";
import { Picker } from "./picker.js";
import * as prefs from "./prefs.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);

export class Avatar extends EventTarget {
  #all; #backdrop; #shown = null; #address = null;

  constructor(config) {
    super();
    this.#all = new Avatars(config, (id) => this.#ready(id));
    this.#backdrop = new Picker($("backdrop"), "backdrop", config.limits);
    this.#restore(prefs.kept());
    $("avatar").addEventListener("change", () => this.#chosen());
    $("backdrop-kind").addEventListener("change", () => this.#behind());
    $("backdrop-colour").addEventListener("change", () => this.#behind());
    this.#backdrop.addEventListener("ready", () => this.#behind());
    for (const [id, option] of [["avatar-side", "side"], ["avatar-head", "head"]]) {
      $(id).addEventListener("change", () => {
        prefs.keep({ [id.replace("-", "_")]: $(id).value });
        this.#emit("options", { [option]: this.options()[option] });
      });
    }
  }

  get id() { return $("avatar").value; }

  // Whether it is what the page shows at present.
  async show(on) {
    $("field-avatar").hidden = !on;
    if (!on) return this.#all.rest();
    await this.#all.refresh();
    this.#picture();
  }

  // For those who want to start without one.
  complete() {
    if (this.id && (this.#kind !== "picture" || this.#backdrop.chosen)) return true;
    if (this.id) this.#backdrop.ask();
    else this.#all.ask();
    return false;
  }

  // Before a session: the picture behind it is with the server. Throws an ApiError.
  async ready() { if (this.#kind === "picture") await this.#backdrop.ready(); }

  // What was sent for a session goes with it.
  ended() { this.#backdrop.forget(); }

  // `options` for another session.
  async renewed(options) {
    if (!options.background?.startsWith("upload:")) return options;
    await this.#backdrop.ready();
    return { ...options, background: `upload:${this.#backdrop.id}` };
  }

  options() {
    return { picture: `avatar:${this.id}`, background: this.#background ?? "recorded", side: Number($("avatar-side").value) || null, head: $("avatar-head").value };
  }

  get #kind() { return $("backdrop-kind").value; }

  get #background() {
    if (this.#kind === "colour") return $("backdrop-colour").value;
    if (this.#kind === "picture") return this.#backdrop.id && `upload:${this.#backdrop.id}`;
    return this.#kind;
  }

  #restore(kept) {
    for (const id of ["avatar-side", "avatar-head"]) $(id).value = kept[id.replace("-", "_")] ?? $(id).value;
  }

  #chosen() {
    this.#picture();
    if (this.id) this.#emit("restart");
  }

  // One that has come, or was made: it is chosen where nothing was.
  #ready(id) {
    if (id && !this.id) $("avatar").value = id;
    const changed = this.id !== this.#shown;
    this.#picture();
    if (changed && this.id && !$("field-avatar").hidden) this.#emit("restart");
  }

  // Until there is a picture, the background that was goes on.
  #behind() {
    $("field-backdrop").hidden = this.#kind !== "picture";
    $("backdrop-colour").hidden = this.#kind !== "colour";
    if (this.#kind === "picture" && this.#backdrop.chosen && !this.#backdrop.id) this.#backdrop.again();
    if (this.#background) this.#emit("options", { background: this.#background });
  }

  async #picture() {
    if (this.id === this.#shown) return;
    const wanted = this.#shown = this.id;
    let address = null;
    try {
      if (wanted) address = URL.createObjectURL(await api.avatarPicture(wanted));
    } catch { /* it is shown without */ }
    if (wanted !== this.#shown) return;
    URL.revokeObjectURL(this.#address);
    this.#address = address;
    $("avatar-shown").hidden = !address;
    if (address) $("avatar-shown").src = address;
    $("avatar-shown").alt = t("avatar.shown");
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}
