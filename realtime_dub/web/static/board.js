// The row of charts: which figure of the server's and of this browser's goes where.

import { Chart } from "./chart.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const text = (value, digits = 0) => (Number.isFinite(value) ? (Number(value.toFixed(digits)) || 0).toFixed(digits) : "–"); // no "-0"
const SHARED_MESSAGES = 4; // two a second

export class Board {
  #frames = []; #playedOffset = null; #shares = null;
  #latency = new Chart($("c-latency"), [{ key: "p50", label: t("page.median"), token: "--series-a" }, { key: "p95", label: t("chart.p95"), token: "--series-b" }], { name: t("page.delay"), unit: "ms", floor: 100, limit: "budget" });
  #mouths = new Chart($("c-frames"), [{ key: "fresh", label: t("page.fresh_2"), token: "--series-a" }, { key: "reused", label: t("page.reused"), token: "--series-c" }, { key: "passthrough", label: t("page.unchanged"), token: "--series-d" }], { name: t("page.mouths"), unit: "%", stacked: true });
  #sync = new Chart($("c-sync"), [{ key: "server", label: t("page.server"), token: "--series-a" }, { key: "page", label: t("page.in_this_page"), token: "--series-b" }], { name: t("chart.sync"), unit: "ms", floor: 40, zero: true });
  #rate = new Chart($("c-rate"), [{ key: "in", label: t("page.in"), token: "--series-a" }, { key: "out", label: t("page.out"), token: "--series-b" }], { name: t("chart.bitrate"), unit: "kbit/s", floor: 500 });
  #loss = new Chart($("c-loss"), [{ key: "in", label: t("page.to_you"), token: "--series-a" }, { key: "out", label: t("page.to_the_server"), token: "--series-b" }], { name: t("chart.loss"), unit: "%", floor: 2 });

  get #charts() { return [this.#latency, this.#mouths, this.#sync, this.#rate, this.#loss]; }

  redraw() { this.#charts.forEach((chart) => chart.draw()); }

  clear() {
    this.#frames = [];
    this.#playedOffset = this.#shares = null;
    this.#charts.forEach((chart) => chart.clear());
    for (const id of ["v-latency", "v-frames", "v-sync", "v-rate", "v-loss"]) $(id).textContent = "–"; // what was is not what is
  }

  server(stats) {
    const p50 = stats.latency_ms?.p50 || null, p95 = stats.latency_ms?.p95 || null; // 0: nothing measured yet
    this.#latency.add({ p50, p95, budget: stats.budget_ms || null });
    $("v-latency").textContent = text(p50);
    this.#sync.add({ server: stats.av_offset_ms, page: this.#playedOffset });
    $("v-sync").textContent = text(stats.av_offset_ms ?? this.#playedOffset);
    this.#count(stats.frames ?? {});
  }

  network(sample) {
    this.#playedOffset = sample.av_offset_ms;
    this.#rate.add({ in: sample.in_kbps, out: sample.out_kbps });
    $("v-rate").textContent = text(sample.in_kbps);
    this.#loss.add({ in: sample.loss_in, out: sample.loss_out });
    $("v-loss").textContent = text(sample.loss_in, 1);
  }

  // The server counts from the beginning; the chart shows the shares of the last two seconds.
  #count(frames) {
    this.#frames.push(frames);
    const before = this.#frames.length > SHARED_MESSAGES ? this.#frames.shift() : this.#frames[0];
    const kinds = ["fresh", "reused", "passthrough"];
    const since = kinds.map((kind) => (frames[kind] ?? 0) - (before[kind] ?? 0));
    if (since.some((count) => count < 0)) { // another run took over, and counts anew
      this.#frames = [frames];
      return;
    }
    const all = since.reduce((sum, count) => sum + count, 0);
    if (all > 0) this.#shares = Object.fromEntries(kinds.map((kind, i) => [kind, (100 * since[i]) / all]));
    if (!this.#shares) return;
    this.#mouths.add(this.#shares);
    $("v-frames").textContent = text(this.#shares.fresh);
  }
}
