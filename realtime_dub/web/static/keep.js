// What is kept on request: a recording made on the server, a picture made here, the bank of one's own mouth.

import * as api from "./api.js";
import { t } from "./texts.js";

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function stamp() { return new Date().toISOString().slice(0, 19).replace("T", "-").replaceAll(":", ""); }

// The picture as it is shown: one that leaves the page says what it is, by the badge that it has, or by the one that the
// page lays over it (`badge`). The server signs that; where it cannot, the picture is kept without.
export async function snapshot(video, badge) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0);
  if (badge) burnIn(pen, badge, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  save(await api.signedPicture(blob).catch(() => blob), `dubbed-${stamp()}.png`);
}

function burnIn(pen, badge, width, height) {
  const style = getComputedStyle(badge);
  const size = Math.max(14, Math.round(height / 22));
  pen.font = `700 ${size}px ${style.fontFamily}`;
  const box = pen.measureText(badge.textContent).width + size;
  pen.fillStyle = style.backgroundColor;
  pen.fillRect(width - box - size / 2, size / 2, box, 1.7 * size);
  pen.fillStyle = style.color;
  pen.textBaseline = "middle";
  pen.fillText(badge.textContent, width - box, 1.35 * size);
}

const OFTEN = 3; // statistics without a recording, after which it has ended

// The one that is being made. The server keeps it whatever becomes of this page: `began` gets its name, `ended` is
// called when it is over.
export class Recording {
  #show; #began; #ended; #timer = 0; #since = 0; #missing = 0;
  running = false;

  // `show` is called with true or false and the seconds so far.
  constructor(show, began, ended) {
    [this.#show, this.#began, this.#ended] = [show, began, ended];
    window.addEventListener("beforeunload", (event) => {
      if (!this.running) return;
      event.preventDefault();
      event.returnValue = true; // older browsers ask only then
    });
  }

  async toggle(id) {
    if (!this.running) return this.#start(id);
    this.reset();
    try {
      const { url } = await api.recording(id, "stop");
      save(await api.download(url), `dubbed-${stamp()}.mp4`);
      return t("keep.saved");
    } finally {
      this.#ended();
    }
  }

  // The server's word on whether it records.
  follow(recording) {
    this.#missing = recording ? 0 : this.#missing + 1;
    if (this.running && this.#missing >= OFTEN) this.reset();
  }

  async #start(id) {
    this.#began((await api.recording(id, "start")).id);
    this.running = true;
    this.#missing = 0;
    this.#since = performance.now();
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), 500);
    return t("keep.recording");
  }

  #tick() { this.#show(true, Math.floor((performance.now() - this.#since) / 1000)); }

  reset() {
    clearInterval(this.#timer);
    const ended = this.running;
    this.running = false;
    this.#show(false, 0);
    if (ended) this.#ended();
  }
}
