// The connection in words: what this browser measures, judged over the last seconds, and said when it is another.

import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const KEPT = 5; // samples, one a second; their median counts, so that a single one says nothing
// From which on it is fair, and poor: percent lost, ms there and back.
const LOSS = [1.5, 5], WAY_MS = [200, 400];
const WORDS = ["good", "fair", "poor"];

// {level: 0 good, 1 fair, 2 poor; why: "loss" | "way" | null}
export function judged(samples) {
  const loss = median(samples.map((each) => Math.max(each.loss_in ?? 0, each.loss_out ?? 0)));
  const way = median(samples.map((each) => each.rtt_ms ?? 0));
  const [byLoss, byWay] = [level(loss, LOSS), level(way, WAY_MS)];
  const most = Math.max(byLoss, byWay);
  return { level: most, why: most === 0 ? null : byLoss >= byWay ? "loss" : "way", loss, way };
}

const level = (value, limits) => limits.filter((limit) => value >= limit).length;

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export class Quality {
  #samples = []; #said = "";

  network(sample) {
    this.#samples = [...this.#samples, sample].slice(-KEPT);
    if (this.#samples.length < KEPT) return;
    const { level: at, why } = judged(this.#samples);
    const said = why ? `${WORDS[at]}.${why}` : WORDS[at];
    if (said === this.#said) return; // a reader of the screen is not told again
    this.#said = said;
    $("quality").dataset.level = WORDS[at];
    $("quality").textContent = t(`quality.${said}`);
    $("quality").hidden = false;
  }

  clear() {
    this.#samples = [];
    this.#said = "";
    $("quality").hidden = true;
    $("quality").textContent = "";
  }
}
