// Single keys, for those who want them: off where one types, and to be switched off altogether in the help.

const KEPT = "keys";
const ARROWS = { ArrowLeft: -4, ArrowRight: 4 };

export class Keys {
  #actions; #move; #on = read() !== "off";

  // `actions` maps a key to a button or a function; `move` gets the steps of the arrows.
  constructor(actions, move, checkbox) {
    this.#actions = actions;
    this.#move = move;
    checkbox.checked = this.#on;
    checkbox.addEventListener("change", () => this.#set(checkbox.checked));
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  #set(on) {
    this.#on = on;
    try { localStorage.setItem(KEPT, on ? "on" : "off"); } catch { /* storage refused: it holds until the page is left */ }
  }

  #pressed(event) {
    if (!this.#on || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !ARROWS[event.key]) return;
    if (event.target.closest("input[type=text], input[type=password], select, dialog")) return;
    if (ARROWS[event.key]) return event.target.closest("input") ? undefined : this.#move(ARROWS[event.key]);
    const action = this.#actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    if (action instanceof HTMLElement) action.click(); // a disabled button does nothing, and that is right
    else action();
  }
}

function read() {
  try { return localStorage.getItem(KEPT); } catch { return null; }
}
