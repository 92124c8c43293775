// Small charts of the last minute on canvas: lines, or shares stacked to a hundred percent.

import { t } from "./texts.js";

const SPAN_S = 60;

export class Chart {
  #canvas; #series; #options; #points = [];

  // series: [{key, token}] where token names a colour of tokens.css; options: {name, unit, stacked, floor, zero, limit}.
  // `floor` is the least height of the scale, `limit` the key of a dashed line.
  constructor(canvas, series, options) {
    this.#canvas = canvas;
    this.#series = series;
    this.#options = options;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  get length() { return this.#points.length; }

  clear() {
    this.#points = [];
    this.draw();
    this.#describe();
  }

  // One sample, {key: number or null}; `at` in seconds.
  add(values, at = performance.now() / 1000) {
    this.#points.push({ at, ...values });
    while (this.#points.length && this.#points[0].at < at - SPAN_S) this.#points.shift();
    this.draw();
    this.#describe();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width) return;
    const scale = window.devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    const pen = this.#canvas.getContext("2d");
    pen.scale(scale, scale);
    const area = this.#area(width, height);
    this.#grid(pen, area, width);
    if (this.#options.stacked) this.#stack(pen, area);
    else this.#lines(pen, area);
    this.#scale(pen, area);
  }

  #area(width, height) {
    const [low, high] = this.#range();
    const last = this.#points.at(-1)?.at ?? 0;
    const top = 5, bottom = height - 5;
    return {
      x: (at) => width - ((last - at) / SPAN_S) * width,
      y: (value) => bottom - ((value - low) / (high - low)) * (bottom - top),
      low, high, bottom,
    };
  }

  #range() {
    if (this.#options.stacked) return [0, 100];
    const keys = [...this.#series.map((line) => line.key), this.#options.limit].filter(Boolean);
    const values = this.#points.flatMap((point) => keys.map((key) => point[key])).filter(Number.isFinite);
    const floor = this.#options.floor;
    const reach = Math.max(floor, ...values.map(this.#options.zero ? Math.abs : Number)) * 1.1;
    return [this.#options.zero ? -reach : 0, reach];
  }

  #grid(pen, area, width) {
    pen.strokeStyle = colour("--grid");
    pen.lineWidth = 1;
    const middle = (area.low + area.high) / 2;
    for (const level of [area.low, middle, area.high]) {
      const y = Math.round(area.y(level)) + 0.5;
      line(pen, [[0, y], [width, y]]);
    }
  }

  // One figure at the top says how tall the chart is; a stack is always a hundred.
  #scale(pen, area) {
    if (this.#options.stacked || !this.#points.length) return;
    const figure = `${this.#options.zero ? "±" : ""}${Number(area.high.toPrecision(2))}`;
    pen.font = `10px ${getComputedStyle(this.#canvas).fontFamily}`;
    pen.textBaseline = "top";
    pen.fillStyle = colour("--surface"); // lines that run through a figure make it another one
    pen.fillRect(0, area.y(area.high) + 1, pen.measureText(figure).width + 3, 12);
    pen.fillStyle = colour("--soft");
    pen.fillText(figure, 0, area.y(area.high) + 3);
  }

  #lines(pen, area) {
    const { limit } = this.#options;
    if (limit) this.#line(pen, area, limit, "--line-strong", [4, 4], 1.2);
    for (const { key, token } of this.#series.toReversed()) this.#line(pen, area, key, token, [], 2);
  }

  #line(pen, area, key, token, dash, lineWidth) {
    pen.strokeStyle = colour(token);
    pen.lineWidth = lineWidth;
    pen.lineJoin = "round";
    pen.setLineDash(dash);
    const known = this.#points.filter((point) => Number.isFinite(point[key]));
    line(pen, known.map((point) => [area.x(point.at), area.y(point[key])]));
    pen.setLineDash([]);
  }

  #stack(pen, area) {
    const heights = this.#points.map(() => 0);
    for (const { key, token } of this.#series) {
      const under = this.#points.map((point, i) => [area.x(point.at), area.y(heights[i])]);
      this.#points.forEach((point, i) => { heights[i] += point[key] ?? 0; });
      const over = this.#points.map((point, i) => [area.x(point.at), area.y(heights[i])]);
      fill(pen, [...over, ...under.toReversed()], colour(token));
    }
  }

  // The picture in words, for those who do not see it.
  #describe() {
    const last = this.#points.at(-1);
    const known = this.#series.filter(({ key }) => Number.isFinite(last?.[key]));
    const words = known.map(({ key, label }) => `${label} ${Math.round(last[key] * 10) / 10} ${this.#options.unit}`);
    this.#canvas.setAttribute("aria-label", t("chart.label", { name: this.#options.name, words: words.join(", ") || t("chart.none") }));
  }
}

function colour(token) { return getComputedStyle(document.documentElement).getPropertyValue(token).trim(); }

function line(pen, points) {
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  pen.stroke();
}

function fill(pen, points, style) {
  if (points.length < 4) return;
  pen.fillStyle = style;
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  pen.fill();
}
