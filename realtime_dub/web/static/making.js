// One avatar of the visitor's own in the list: how far it has come, what is wrong with its recording, what can be done.

import * as api from "./api.js";
import { save } from "./keep.js";
import { t } from "./texts.js";

const PICTURED = ["training"]; // states in which there are previews

// What it is called, of those that have no name when it came.
export function named({ label, since }) {
  if (label) return label;
  return t("avatar.yours", { day: new Date(1000 * since).toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }) });
}

export class Making {
  element = document.createElement("li");
  #id; #changed; #say; #state = ""; #preview = null; #address = null;
  #name = part("bdi", "making-name"); #words = part("span", "hint"); #bar = document.createElement("progress");
  #findings = part("ul", "findings"); #picture = document.createElement("img"); #buttons = part("div", "row");

  // `changed` is called when something was done with it, `say` with what there is to tell.
  constructor(id, changed, say) {
    [this.#id, this.#changed, this.#say] = [id, changed, say];
    this.#bar.max = 1;
    this.#bar.setAttribute("aria-label", t("avatar.progress"));
    this.#picture.className = "making-preview";
    this.#picture.alt = t("avatar.preview");
    this.element.className = "making";
    this.element.append(this.#name, this.#words, this.#bar, this.#findings, this.#picture, this.#buttons);
  }

  // The server's word.
  show(told) {
    this.#name.textContent = named(told);
    this.#words.textContent = words(told);
    this.#bar.hidden = !["preparing", "training"].includes(told.state);
    this.#bar.value = told.share ?? 0;
    this.#look(PICTURED.includes(told.state) ? told.preview : null);
    const state = `${told.state} ${told.agreed ?? ""} ${told.consent ?? ""}`;
    if (state === this.#state) return;
    if (this.#state) this.#say(`${this.#name.textContent}: ${words(told)}`); // heard once for each step, not for each per cent
    this.#state = state;
    this.element.dataset.state = told.state;
    this.#find(told.state === "checked" ? told.findings ?? [] : null);
    this.#buttons.replaceChildren(...this.#offered(told));
  }

  #find(findings) {
    this.#findings.hidden = !findings;
    const faults = (findings ?? []).filter(({ fault }) => fault);
    const lines = faults.length ? faults.map(({ fault }) => fault) : [t("avatar.good")];
    this.#findings.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  }

  #offered({ state, consent }) {
    const remove = ["kept", "failed"].includes(state) ? t("avatar.remove") : t("avatar.cancel");
    return [
      ...(state === "checked" ? [this.#button(t("avatar.begin"), () => api.trainAvatar(this.#id))] : []),
      ...(unasked({ consent }) ? [this.#button(t("avatar.agree"), () => api.agreeToAvatar(this.#id))] : []),
      ...(state === "kept" ? [this.#button(t("avatar.download"), async () => save(await api.avatarFile(this.#id), "me.avatar.zip"))] : []),
      this.#button(remove, () => api.removeAvatar(this.#id)),
    ];
  }

  #button(name, action) {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", className: "button small", textContent: name });
    made.setAttribute("aria-label", `${name}: ${this.#name.textContent}`);
    made.addEventListener("click", async () => {
      made.disabled = true;
      try {
        await action();
      } catch (error) {
        this.#say(`${error.message} ${error.do ?? ""}`, "problem");
      }
      made.disabled = false;
      this.#changed();
    });
    return made;
  }

  // A picture by its name: each is fetched once.
  async #look(name) {
    this.#picture.hidden = !name || !this.#address;
    if (!name || name === this.#preview) return;
    this.#preview = name;
    try {
      const address = URL.createObjectURL(await api.avatarPreview(this.#id));
      URL.revokeObjectURL(this.#address);
      this.#address = this.#picture.src = address;
      this.#picture.hidden = false;
    } catch {
      this.#preview = null; // asked for again
    }
  }
}

function part(kind, name) { return Object.assign(document.createElement(kind), { className: name }); }

// Nobody has confirmed that its person agrees, or the record does not hold.
function unasked({ consent }) { return ["missing", "broken"].includes(consent); }

function words({ state, consent, stage, share, left_s: left, ahead, agreed, until, why, trained }) {
  if (state === "waiting") return agreed ? t("avatar.waiting.train", { ahead }) : t("avatar.waiting", { ahead });
  if (state === "preparing" || state === "training") {
    const far = t("avatar.far", { stage: t(`avatar.stage.${stage}`), percent: Math.floor(100 * share) });
    return left == null ? far : `${far} ${t("avatar.left", { minutes: Math.max(1, Math.round(left / 60)) })}`;
  }
  if (state === "checked") return t("avatar.checked");
  if (state === "failed") return t("avatar.failed", { why });
  const day = new Date(1000 * until).toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const kept = trained ? t("avatar.made", { day }) : t("avatar.kept", { day });
  return `${kept} ${t(unasked({ consent }) ? "avatar.unasked" : "avatar.agreed")}`;
}
