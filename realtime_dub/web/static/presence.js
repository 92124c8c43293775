// Where the page stands: its own connection and the room's state, as one; and the way back after the server was away.

import { ApiError } from "./api.js";

const WAITS_S = [0, 0.3, 0.5, 1]; // between tries; the last again and again: live within 5 s of the server's return
const QUEUE_S = 1;

// What is shown. `link`: idle, asking, connecting, live, interrupted, queued, failed; `room`: as the server tells it.
// `moved`: the picture that this page sends has been live.
export function shown(role, link, room, moved = false) {
  if (link !== "live") return link;
  if (role === "studio") return moved && room?.state === "waiting" ? "still" : link;
  if (!room) return "connecting"; // nobody has said yet whether there is anything to see or to speak for
  if (room.state !== "live") return room.state === "ended" ? "ended" : room.sender ? "away" : alone(room) ? "alone" : "waiting";
  if (role === "viewer") return "live";
  if (room.floor === "another") return "listening";
  return room.heard === false ? "unheard" : "live";
}

// Nobody else has come into the room: it may be another one than was meant.
const alone = ({ interpreters, viewers }) => interpreters + viewers === 1;

// Whether it is worth while to try again by itself: not where the answer would be the same for ever.
export function passes(error) {
  if (!(error instanceof ApiError)) return false;
  return [0, 408, 409, 429].includes(error.status) || error.status >= 500;
}

// Tries `open` until it has come about or `cancel` was called. An error that does not pass is thrown.
export class Return {
  #over = false; #wake = () => {};

  cancel() {
    this.#over = true;
    this.#wake();
  }

  get over() { return this.#over; }

  // `show` is called with "interrupted", or "queued" where somebody else sends in the room.
  async run(open, show) {
    for (let tries = 0; !this.#over; tries++) {
      await this.#pause(WAITS_S[Math.min(tries, WAITS_S.length - 1)]);
      if (this.#over) return;
      try {
        await open();
        return;
      } catch (error) {
        if (!passes(error)) throw error;
        if (this.#over) return;
        show(error.status === 409 ? "queued" : "interrupted");
        if (error.status === 409) tries = 0;
        await this.#pause(error.status === 409 ? QUEUE_S : 0);
      }
    }
  }

  #pause(seconds) {
    return new Promise((done) => {
      this.#wake = done;
      setTimeout(done, 1000 * seconds);
      window.addEventListener("online", done, { once: true });
    });
  }
}
