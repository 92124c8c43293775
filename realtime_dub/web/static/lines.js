// Lines of a list: who, what about them, and buttons with the name of what they act on.

export function line(who, what, badge = "") {
  const made = document.createElement("li");
  made.append(span("who", who), ...(badge ? [span("on-air", badge)] : []), span("what", what));
  return made;
}

// `key` finds the button again after the list was made anew.
export function button(words, about, key, action) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", className: "button small", textContent: words });
  made.setAttribute("aria-label", `${words}: ${about}`);
  made.dataset.key = key;
  made.addEventListener("click", action);
  return made;
}

// [value, text] each.
export function options(pairs) { return pairs.map(([value, text]) => new Option(text, value)); }

function span(name, words) {
  const made = document.createElement("span");
  [made.className, made.textContent] = [name, words];
  return made;
}
