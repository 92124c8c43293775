// What is chosen while a session runs: its options, a device, or what needs another session.

import { role } from "./role.js";
import * as resume from "./resume.js";
import * as ui from "./ui.js";

export class Choosing {
  #settings; #devices; #comeback; #session;

  // `session` gives the one that runs, if any; `restart` begins another one.
  constructor(settings, devices, comeback, session, restart) {
    [this.#settings, this.#devices, this.#comeback, this.#session] = [settings, devices, comeback, session];
    settings.addEventListener("options", (event) => this.#change(event.detail));
    settings.addEventListener("devices", (event) => this.#device(event.detail));
    settings.addEventListener("restart", restart);
  }

  async #change(options) {
    if (this.#session()) resume.keep(this.#settings.lasting);
    if (this.#comeback.running) this.#comeback.change(options); // for the session that is to come
    const session = this.#session();
    if (!session?.id || this.#comeback.running || role !== "studio") return;
    try {
      this.#settings.show(await session.change(options));
    } catch (error) {
      ui.problem(error);
      this.#settings.show(session.options);
    }
  }

  // The connection stays, its track is replaced.
  async #device(which) {
    if (!(this.#session() || this.#devices.previews) || role === "viewer") return;
    try {
      if (which === "camera") {
        await this.#devices.newCamera();
      } else {
        await this.#devices.newMicrophone();
      }
    } catch (error) {
      ui.problem(error);
    }
  }
}
