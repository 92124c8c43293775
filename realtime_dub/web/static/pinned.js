// The stage stays in a corner where the page is one column and the settings are scrolled (stage.css), and the
// measurements below can be folded.

import * as prefs from "./prefs.js";

const $ = (id) => document.getElementById(id);
const SEEN = 0.3; // of its place, below which the picture goes into the corner

export function pin() {
  const stage = $("stage"), place = $("place");
  new IntersectionObserver(([entry]) => {
    const away = entry.intersectionRatio < SEEN && entry.boundingClientRect.top < 0;
    if (away && stage.dataset.pinned !== "yes") place.style.minHeight = `${place.clientHeight}px`; // the page does not jump
    if (!away) place.style.minHeight = "";
    stage.dataset.pinned = away ? "yes" : "no";
  }, { threshold: [0, SEEN, 0.5] }).observe(place);
}

// Whoever is filmed has them open, others may open them; `redraw` is called when they are seen again.
export function fold(role, redraw) {
  const panel = $("measured");
  panel.open = prefs.kept().charts ?? role === "studio";
  panel.addEventListener("toggle", redraw);
  panel.firstElementChild.addEventListener("click", () => setTimeout(() => prefs.keep({ charts: panel.open })));
}
