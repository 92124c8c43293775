// The person's own mouth: learnt on request, kept as a file and brought back.

import * as api from "./api.js";
import { save, stamp } from "./keep.js";
import { t } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);
const ENROLL_S = 5;

export class Person {
  #id = () => null; #enrolling = false;

  // `id` gives the session's.
  constructor(id) { this.#id = id; }

  async enroll() {
    try {
      await api.enroll(this.#id(), ENROLL_S);
      this.follow({ progress: 0 });
      ui.notice(t("person.speak"));
    } catch (error) {
      ui.problem(error);
    }
  }

  // The server's word: {progress} from 0 to 1, or null.
  follow(enroll) {
    const running = Boolean(enroll) && enroll.progress < 1;
    if (this.#enrolling && !running) ui.notice(t("person.learnt"));
    this.#enrolling = running;
    $("enroll-progress").hidden = !running;
    $("enroll").disabled = running;
    if (running) $("enroll-progress").value = enroll.progress;
  }

  clear() {
    this.#enrolling = false;
    this.follow(null);
    $("enroll").disabled = true;
  }

  async saveBank() {
    try {
      save(await api.bank(this.#id()), `mouth-${stamp()}.bank`);
    } catch (error) {
      ui.problem(error);
    }
  }

  async forget() {
    try {
      await api.forgetFace(this.#id());
      ui.notice(t("consent.forgotten"));
    } catch (error) {
      ui.problem(error);
    }
  }

  async loadBank(file) {
    if (!file) return;
    try {
      await api.putBank(this.#id(), file);
      ui.notice(t("person.bank"));
    } catch (error) {
      ui.problem(error);
    }
  }
}
