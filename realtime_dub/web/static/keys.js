// Single keys, for those who want them: off wherever a control has the focus that takes keys itself, off with any
// modifier, and to be switched off altogether in the help. What cannot be taken back, such as an end or a word that is
// not heard, waits until it is sure that nobody is typing: another key before or after it, and it does nothing.

const KEPT = "keys";
const ARROWS = { ArrowLeft: -4, ArrowRight: 4 };
const WEIGHTY = ["s", "m", "r", "e"], CALM_MS = 350; // start and stop, microphone, recording, learning anew
const TAKES_KEYS = "input, select, textarea, progress, dialog, [contenteditable], [role=slider], [role=textbox]";

export class Keys {
  #actions; #move; #held; #down = null; #on = read() !== "off"; #typedAt = -CALM_MS; #meant = 0;

  // `actions` maps a key to a button or a function; `move` gets the steps of the arrows; `held` maps a key to what is
  // called with true when it goes down, and with false when it is let go.
  constructor(actions, move, checkbox, held = {}) {
    this.#actions = actions;
    this.#move = move;
    this.#held = held;
    checkbox.checked = this.#on;
    checkbox.addEventListener("change", () => this.#set(checkbox.checked));
    document.addEventListener("keydown", (event) => this.#pressed(event));
    document.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === this.#down) this.#letGo(); });
    window.addEventListener("blur", () => this.#letGo());
  }

  #set(on) {
    this.#on = on;
    try { localStorage.setItem(KEPT, on ? "on" : "off"); } catch { /* storage refused: it holds until the page is left */ }
  }

  #pressed(event) {
    const typing = this.#typed(event);
    if (event.repeat && event.key === "Enter" && event.target.closest("button")) event.preventDefault(); // one press, one click
    if (!this.#on || !isSingle(event) || event.target.closest(TAKES_KEYS) || document.querySelector("dialog[open]")) return;
    if (ARROWS[event.key]) return this.#move(ARROWS[event.key]);
    if (this.#held[event.key.toLowerCase()]) return this.#hold(event);
    const action = event.repeat ? null : this.#actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    if (!WEIGHTY.includes(event.key.toLowerCase())) act(action);
    else if (!typing) this.#meant = setTimeout(() => act(action), CALM_MS);
  }

  // Whether another key came just before this one, which ends what that one was to do.
  #typed(event) {
    clearTimeout(this.#meant);
    const before = this.#typedAt;
    this.#typedAt = event.timeStamp;
    return event.timeStamp - before < CALM_MS;
  }

  #hold(event) {
    event.preventDefault();
    if (event.repeat) return;
    this.#letGo();
    this.#down = event.key.toLowerCase();
    this.#held[this.#down](true);
  }

  #letGo() {
    if (this.#down) this.#held[this.#down](false);
    this.#down = null;
  }
}

function act(action) {
  if (action instanceof HTMLElement) action.click(); // a disabled button does nothing, and that is right
  else action();
}

// Nothing is held down beside it, but for Shift where the sign itself needs it.
function isSingle(event) {
  const shifted = event.shiftKey && !/^[^\w\s]$/.test(event.key);
  return !(event.ctrlKey || event.metaKey || event.altKey || shifted || event.isComposing || event.defaultPrevented);
}

function read() {
  try { return localStorage.getItem(KEPT); } catch { return null; }
}
