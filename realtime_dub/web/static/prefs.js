// What a person chose the last time: kept in this browser, checked when it is read. Nothing private: no name, no room,
// no file. A device is known by a number that the browser makes up for this site alone, and forgets with its data.

const KEY = "settings", VERSION = 1;

const flag = (value) => typeof value === "boolean";
const oneOf = (...names) => (value) => names.includes(value);
const within = (low, high) => (value) => Number.isFinite(value) && value >= low && value <= high;
const word = (value) => typeof value === "string" && /^[\w=+/-]{1,200}$/.test(value);

export const RATES = ["15", "20", "25", "30"]; // frames a second that can be chosen

const KNOWN = {
  camera: word, microphone: word, processing: flag, mirror: flag, raise: flag, own_mic: flag, size: oneOf("auto", "480p", "720p"), fps: oneOf("auto", ...RATES), speaker: word, green: flag, charts: flag,
  avatar_side: oneOf("auto", "256", "384", "512", "720"), avatar_head: oneOf("auto", "recorded"),
  view: oneOf("side", "swipe", "dubbed"), voice: oneOf("mic", "room", "server"), // a file would have to be chosen anew
  channel: word, languages: word,
  engine: word, look_ahead_ms: within(0, 1000), face: oneOf("largest", "left", "right"), strength: within(0, 2), under: within(0, 0.4), silence: oneOf("auto", "live", "rest"), budget_ms: within(1, 5000),
  captions: (value) => typeof value === "string" && /^[A-Za-z-]{2,35}$/.test(value), caption_size: oneOf("small", "medium", "large"), caption_reader: flag,
};

// {name: value} of what is kept and can be; what another version left, or somebody else, is not.
export function kept() {
  try {
    const { version, ...all } = JSON.parse(localStorage.getItem(KEY)) ?? {};
    if (version !== VERSION) return {};
    return Object.fromEntries(Object.entries(all).filter(([name, value]) => Object.hasOwn(KNOWN, name) && KNOWN[name](value)));
  } catch {
    return {}; // no JSON, or storage refused
  }
}

// Beside what is kept already; null forgets one.
export function keep(choices) {
  const usable = ([name, value]) => value !== null && Object.hasOwn(KNOWN, name) && KNOWN[name](value);
  const all = Object.fromEntries(Object.entries({ ...kept(), ...choices }).filter(usable));
  try { localStorage.setItem(KEY, JSON.stringify({ version: VERSION, ...all })); } catch { /* storage refused: it holds until the page is left */ }
}

export function forget() {
  for (const key of [KEY, "theme", "keys"]) {
    try { localStorage.removeItem(key); } catch { /* storage refused: there is nothing */ }
  }
}

// The room is a part of the link that was given away: it stays as long as the tab, also when the page is loaded again.
export function keptRoom() {
  try { return sessionStorage.getItem("room"); } catch { return null; }
}

export function keepRoom(name) {
  try { sessionStorage.setItem("room", name); } catch { /* storage refused: it holds until the page is left */ }
}
