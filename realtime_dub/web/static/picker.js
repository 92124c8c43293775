// A file that is asked for: checked before it is sent, named once it is in use, and sent again for the next session.
//
// Event: "ready", the file is with the server. What goes wrong is said beside the button.

import * as api from "./api.js";
import { t } from "./texts.js";
import { duration } from "./ui.js";

const USES = {
  sound: { what: t("picker.sound"), first: t("picker.sound.first"), other: t("picker.sound.other") },
  picture: { what: t("picker.picture"), first: t("picker.picture.first"), other: t("picker.picture.other") },
  backdrop: { what: t("picker.backdrop"), first: t("picker.picture.first"), other: t("picker.picture.other") },
};

export class Picker extends EventTarget {
  #input; #name; #says; #use; #sent; #kinds; #mostMb; #file = null; #id = null; #seconds = 0; #turn = 0; #coming = null;

  // `use` is one of USES; `limits` are the server's: {upload_mb, files: {sound: [".wav", ...], ...}}.
  constructor(input, use, limits = {}) {
    super();
    this.#input = input;
    this.#name = document.getElementById(`${input.id}-name`);
    this.#says = document.getElementById(`${input.id}-says`);
    this.#use = use;
    this.#sent = use === "backdrop" ? "picture" : use; // as the server calls it
    this.#kinds = limits.files?.[this.#sent] ?? [];
    this.#mostMb = limits.upload_mb ?? Infinity;
    input.accept = [input.accept, ...this.#kinds].join(",");
    input.addEventListener("change", () => this.#take(input.files[0]));
    this.#hint();
  }

  get id() { return this.#id; }
  get chosen() { return this.#file !== null || this.#coming !== null; }

  // For those who want to start without one.
  ask() {
    this.#say(USES[this.#use].first, "problem");
    this.#input.focus();
  }

  // The file is with the server when it resolves. Throws an ApiError.
  async ready() {
    await this.#coming;
    if (!this.#file) throw new api.ApiError(0, USES[this.#use].first, this.#says.textContent);
    if (!this.#id) await this.#send(this.#file);
  }

  // The same once more, for a session that began without it.
  again() { this.#take(this.#file); }

  // The server deletes a session's files with it; the next one is sent them again.
  forget() { this.#id = null; }

  #take(file) {
    if (!file) return; // the dialog was closed
    this.#input.value = ""; // so that the same file can be chosen again
    const coming = this.#chosen(file, this.#turn += 1).finally(() => {
      if (this.#coming === coming) this.#coming = null;
    });
    this.#coming = coming;
  }

  // A file that is refused leaves the one before in use, and its own name nowhere.
  async #chosen(file, turn) {
    try {
      this.#check(file);
      this.#say(t("picker.sending", { name: file.name }));
      await this.#send(file, () => turn === this.#turn);
    } catch (error) {
      if (turn === this.#turn) this.#say(`${error.message} ${error.do ?? ""}`, "problem");
    }
  }

  #check(file) {
    const suffix = file.name.includes(".") ? file.name.slice(file.name.lastIndexOf(".")).toLowerCase() : "";
    if (this.#kinds.length && !this.#kinds.includes(suffix)) {
      throw new api.ApiError(0, t(`picker.${this.#sent}.unfit`, { name: file.name }), USES[this.#use].other);
    }
    if (file.size > 1e6 * this.#mostMb) {
      throw new api.ApiError(0, t("picker.has", { name: file.name, mb: Math.ceil(file.size / 1e6) }), t("picker.most", { mb: this.#mostMb }));
    }
    if (!file.size) throw new api.ApiError(0, t("picker.empty", { name: file.name }), t("picker.another"));
  }

  async #send(file, wanted = () => true) {
    const upload = await api.upload(file, this.#sent);
    if (!wanted()) return; // another one was chosen meanwhile
    this.#file = file;
    this.#id = upload.id;
    this.#seconds = upload.seconds ?? 0;
    this.#name.textContent = this.#seconds ? `${file.name} (${duration(Math.round(this.#seconds))})` : file.name;
    this.#hint();
    this.dispatchEvent(new Event("ready"));
  }

  #hint() {
    const { what } = USES[this.#use];
    this.#say(Number.isFinite(this.#mostMb) ? t("picker.hint", { what, mb: this.#mostMb }) : `${what}.`);
  }

  #say(words, kind = "word") {
    this.#says.dataset.kind = kind;
    this.#says.textContent = words;
  }
}
