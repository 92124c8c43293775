// What is known of a running session: its charts, the server's advice, the voice from a file, the clock, and how much
// later than the camera the dubbed frames are seen.

import { Board } from "./board.js";
import { Counsel } from "./counsel.js";
import { Player } from "./player.js";
import { role } from "./role.js";
import { told } from "./texts.js";
import * as ui from "./ui.js";

const $ = (id) => document.getElementById(id);

export class Figures {
  #board = new Board(); #counsel; #player; #since = 0; #lag = {}; #note;

  // `id` gives the session's; `budget` is called with one that the person takes, in ms.
  constructor(id, budget) {
    this.#counsel = new Counsel(budget);
    this.#player = new Player(id);
  }

  // Live from now on, if it has not been so; true the first time.
  begin() {
    const first = !this.#since;
    this.#since ||= performance.now();
    return first;
  }

  // The server's, twice a second.
  server(stats) {
    this.#board.server(stats);
    this.#counsel.show(stats.advice);
    this.#player.show(stats.voice);
    this.#lag.server = stats.latency_ms?.p50;
    if (stats.note && stats.note !== this.#note) ui.notice(told(stats, "note")); // it is sent again and again
    this.#note = stats.note;
    const time = ui.duration(Math.floor((performance.now() - this.#since) / 1000));
    $("clock").textContent = role === "interpreter" ? time : `${time} · ${Math.round(stats.fps ?? 0)} fps`;
  }

  // This browser's, once a second.
  network(sample) {
    this.#board.network(sample);
    this.#lag.way = sample.rtt_ms ?? this.#lag.way;
    this.#lag.buffer = sample.buffer_ms ?? this.#lag.buffer;
  }

  // The server's part, the way, and this browser's buffer.
  get delayMs() { return (this.#lag.server ?? 0) + (this.#lag.way ?? 0) + (this.#lag.buffer ?? 0); }

  get bufferMs() { return this.#lag.buffer ?? 0; }

  redraw() { this.#board.redraw(); }

  clear() {
    this.#since = 0;
    this.#lag = {};
    $("clock").hidden = true;
    this.#board.clear();
    this.#counsel.clear();
    this.#player.show(null);
  }
}
