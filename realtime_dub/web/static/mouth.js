// How the mouth is drawn: engine, look-ahead, strength, silence, face and the delay budget that they share.

import * as prefs from "./prefs.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const SETTLE_MS = 150; // a slider that moves is sent when it rests
const LONGEST_BUDGET_MS = 1500;
const SILENCES = {
  auto: t("mouth.auto"),
  live: t("mouth.live"),
  rest: t("mouth.rest"),
};
const NOW = { live: t("mouth.now_live"), rest: t("mouth.now_rest") };

export class Mouth {
  #engines = []; #engine; #ahead; #change;
  #timer = 0; #changed = {}; #touched = new Set();
  #silence = ""; // live or rest, what the server shows
  #budgetMs = 0; // exact, where the slider goes in steps

  // `change` is called with the options that are to be sent.
  constructor(config, change) {
    this.#change = change;
    this.#offer(config);
    this.#live("engine", () => this.#otherEngine());
    this.#live("ahead", () => this.#lookAhead(Number($("ahead").value)));
    this.#live("strength", () => ({ strength: Number($("strength").value) }));
    this.#live("silence", () => ({ silence: $("silence").value }));
    this.#live("face", () => ({ face: $("face").value }));
    this.#live("budget", () => {
      this.#budgetMs = Number($("budget").value);
      return { budget_ms: this.#budgetMs };
    });
  }

  // Only what was touched: the server knows its own defaults best.
  options() {
    const all = { engine: $("engine").value, look_ahead_ms: this.#ahead?.ms, face: $("face").value, silence: $("silence").value, strength: Number($("strength").value), budget_ms: this.#budgetMs };
    return Object.fromEntries(Object.entries(all).filter(([key]) => this.#touched.has(key)));
  }

  // As if it had been chosen; not kept for the next time, as it is this hour's need.
  budget(ms) {
    this.#budgetMs = ms;
    $("budget").value = ms;
    this.#touched.add("budget_ms");
    this.#label();
    this.#change({ budget_ms: ms });
  }

  // The server's word on what it uses, and on what silence shows now; a slider under a finger is left alone.
  show(options, silence = "") {
    this.#silence = silence;
    if (this.#timer) return;
    this.#budgetMs = options.budget_ms ?? this.#budgetMs;
    if (options.engine && options.engine !== this.#engine?.name) this.#choose(options.engine);
    if (options.look_ahead_ms != null) this.#showAhead(options.look_ahead_ms);
    for (const [key, id] of [["engine", "engine"], ["face", "face"], ["silence", "silence"], ["strength", "strength"], ["budget_ms", "budget"]]) {
      if (options[key] != null && document.activeElement !== $(id)) $(id).value = options[key];
    }
    this.#label();
  }

  #offer(config) {
    this.#engines = config.engines ?? [];
    $("engine").replaceChildren(...this.#engines.map((engine) => new Option(engine.name, engine.name)));
    this.#choose($("engine").value);
    this.#budgetMs = config.budgets?.default_ms ?? 500;
    this.#restore(prefs.kept());
    $("budget").value = this.#budgetMs;
    this.#label();
  }

  // What was chosen the last time, as far as this server offers it.
  #restore(kept) {
    for (const id of ["engine", "face", "silence", "strength"]) if (takes($(id), kept[id])) this.#touched.add(id);
    if (this.#touched.has("engine")) this.#choose($("engine").value);
    if (this.#engine?.look_aheads?.some(({ ms }) => ms === kept.look_ahead_ms)) {
      this.#showAhead(kept.look_ahead_ms);
      this.#touched.add("look_ahead_ms");
    }
    if (this.#touched.has("engine") || this.#touched.has("look_ahead_ms")) this.#budgetMs = this.#ahead.default_ms;
    if (!(kept.budget_ms >= this.#ahead.min_ms && kept.budget_ms <= Number($("budget").max))) return;
    this.#budgetMs = kept.budget_ms;
    this.#touched.add("budget_ms");
  }

  // An engine, with its usual look-ahead.
  #choose(name) {
    this.#engine = this.#engines.find((engine) => engine.name === name);
    const offered = this.#engine?.look_aheads ?? [];
    $("ahead").replaceChildren(...offered.map(({ ms }) => new Option(`${ms} ms`, ms)));
    $("field-ahead").hidden = offered.length < 2;
    this.#showAhead(this.#engine?.look_ahead_ms ?? 0);
  }

  #showAhead(ms) {
    this.#ahead = this.#engine?.look_aheads?.find((each) => each.ms === ms) ?? { ms, min_ms: 0, default_ms: 500 };
    $("ahead").value = ms;
    const step = Number($("budget").step);
    const { min_ms, default_ms } = this.#ahead;
    Object.assign($("budget"), { min: Math.ceil(min_ms / step) * step, max: Math.max(LONGEST_BUDGET_MS, 2 * default_ms) });
  }

  #otherEngine() {
    const before = this.#ahead;
    this.#choose($("engine").value);
    return { engine: $("engine").value, look_ahead_ms: null, ...this.#moved(before) };
  }

  #lookAhead(ms) {
    const before = this.#ahead;
    this.#showAhead(ms);
    return { look_ahead_ms: ms, ...this.#moved(before) };
  }

  // Hearing further ahead takes longer: the budget moves with it, what is left for the rest stays.
  #moved(before) {
    const { min_ms, default_ms } = this.#ahead;
    this.#budgetMs = Math.max(min_ms, this.#budgetMs + default_ms - before.default_ms);
    $("budget").value = this.#budgetMs;
    return { budget_ms: this.#budgetMs };
  }

  #live(id, what) {
    $(id).addEventListener("input", () => {
      const read = what();
      Object.assign(this.#changed, read);
      Object.keys(read).forEach((key) => this.#touched.add(key));
      prefs.keep(read);
      this.#label();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#settled(), SETTLE_MS);
    });
  }

  #settled() {
    this.#timer = 0;
    this.#change(this.#changed);
    this.#changed = {};
  }

  #silenceHint() {
    const asked = $("silence").value;
    return [SILENCES[asked], asked === "auto" && NOW[this.#silence]].filter(Boolean).join(" ");
  }

  #label() {
    const ahead = this.#ahead.ms;
    $("engine-hint").textContent = this.#engine ? t("mouth.hears", { ahead }) : t("mouth.no_engine");
    $("strength-value").textContent = `${Math.round(100 * Number($("strength").value))} %`;
    $("silence-hint").textContent = this.#silenceHint();
    const budget = Math.round(this.#budgetMs);
    $("budget-value").textContent = `${budget} ms`;
    $("budget-hint").textContent = t("mouth.budget", { ahead, rest: Math.max(0, budget - ahead) });
    $("budget-bar").style.setProperty("--share", `${Math.min(100, (100 * ahead) / Math.max(1, budget))}%`);
    for (const slider of [$("strength"), $("budget")]) fillTrack(slider);
  }
}

// Whether the control has that value now; else it keeps its own.
export function takes(control, value) {
  const before = control.value;
  control.value = value ?? before;
  if (value !== undefined && control.value === String(value)) return true;
  control.value = before;
  return false;
}

function fillTrack(slider) {
  const share = (Number(slider.value) - Number(slider.min)) / (Number(slider.max) - Number(slider.min) || 1);
  slider.style.setProperty("--fill", `${100 * share}%`);
}
