// What the server advises where mouths are not drawn: said below the picture, and taken by a button or by itself.

import * as prefs from "./prefs.js";
import { t, told } from "./texts.js";

const $ = (id) => document.getElementById(id);

export class Counsel {
  #take; #offered = null; #taken = null;

  // `take` is called with a budget in ms.
  constructor(take) {
    this.#take = take;
    $("raise").checked = prefs.kept().raise ?? false;
    $("raise").addEventListener("change", () => {
      prefs.keep({ raise: $("raise").checked });
      this.#byItself();
    });
    $("counsel-take").addEventListener("click", () => this.#use());
  }

  // {why, what, do, budget_ms}, or null where all is well. The same words are not said twice.
  show(advice) {
    this.#offered = advice?.budget_ms ?? null;
    $("counsel").hidden = !advice;
    $("counsel").dataset.why = advice?.why ?? "";
    const words = advice ? `${told(advice, "what")} ${told(advice, "do")}` : "";
    if ($("counsel-text").textContent !== words) $("counsel-text").textContent = words;
    $("counsel-take").hidden = !this.#offered || $("raise").checked;
    if (this.#offered) $("counsel-take").textContent = t("counsel.use", { ms: this.#offered });
    this.#byItself();
  }

  clear() {
    this.#taken = null;
    this.show(null);
  }

  #byItself() {
    if ($("raise").checked && this.#offered && this.#offered !== this.#taken) this.#use();
  }

  #use() {
    this.#taken = this.#offered; // once each: the server advises anew when it has seen what came of it
    if (this.#offered) this.#take(this.#offered);
  }
}
