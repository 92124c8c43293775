// A page that was on when it was loaded again, or put to sleep by the browser, goes on by itself: only Stop is a no.
// Kept in the tab alone, so that a new tab, or one that a link opens, starts with a click.

const KEY = "on";

// It is on until Stop is pressed or it fails for good.
export function keep(on) {
  try {
    if (on) sessionStorage.setItem(KEY, "yes");
    else sessionStorage.removeItem(KEY);
  } catch { /* storage refused: the page starts with a click */ }
}

// Whether it was, and this is the same page again.
export function wanted(shownAgain = false) {
  const [visit] = performance.getEntriesByType("navigation");
  const same = shownAgain || visit?.type === "reload" || document.wasDiscarded === true;
  try { return same && sessionStorage.getItem(KEY) === "yes"; } catch { return false; }
}
