// The session is lost, the person stays: camera, microphone, settings and room are kept for the next one.

import * as api from "./api.js";
import { Return } from "./presence.js";
import { role, room } from "./role.js";
import { t } from "./texts.js";

const GHOST_S = 6; // in which the server lets go of a page that was here and is gone

export class Comeback {
  kept = null; // the options of the session, for the next one
  #steps; #way = null; #sinceMs = 0;

  // `steps`: `config` asks the server anew, `devices` opens what was taken away meanwhile, `options` renews what was
  // kept, `anotherRoom` makes up a name, `open` opens a session and waits until it is live.
  constructor(steps) { this.#steps = steps; }

  get running() { return Boolean(this.#way); }

  change(options) { this.kept = { ...this.kept, ...options }; }

  // Until there is a session again; `show` is called with where it stands. Rejects where it is not worth while.
  async run(show) {
    const way = this.#way = new Return();
    this.#sinceMs = performance.now();
    try {
      await way.run(() => this.#open(way), show);
    } catch (error) {
      if (this.#way === way) throw error;
    }
    if (this.#way === way) this.#way = null;
  }

  cancel() {
    this.#way?.cancel();
    this.#way = null;
  }

  async #open(way) {
    await this.#steps.config();
    if (this.kept.room && role === "studio" && (await api.room(this.kept.room)).sender) this.#taken();
    if (way.over) return;
    await this.#steps.devices();
    const options = role === "studio" ? await this.#steps.options(this.kept) : this.kept;
    if (!way.over) await this.#steps.open(options);
  }

  // A room that was not asked for by its name gets another one: this tab is a copy of one that is live there.
  #taken() {
    const late = performance.now() - this.#sinceMs > 1000 * GHOST_S;
    if (late && !room) this.change({ room: this.#steps.anotherRoom() });
    throw new api.ApiError(409, t("room.taken"), "");
  }
}
