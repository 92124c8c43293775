// Before anything is painted, so that a page kept dark does not flash white.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* storage refused: follow the system */ }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
