// What a reader of the page checks without a mouse: names, references, contrast, room. Each function lists what is wrong.

const every = (selector) => [...document.querySelectorAll(selector)];

function unnamed() {
  const spoken = every("button, input, select, video, canvas, progress, dialog, [role=meter], [role=toolbar], [role=radiogroup]");
  return spoken.filter((element) => !name(element)).map((element) => element.outerHTML.slice(0, 80));
}

function name(element) {
  const labels = [...(element.labels ?? [])].map((label) => label.textContent);
  const own = element.tagName === "BUTTON" ? element.textContent : "";
  const by = document.getElementById(element.getAttribute("aria-labelledby"))?.textContent;
  return [element.getAttribute("aria-label"), by, own, ...labels].join("").trim();
}

function brokenReferences() {
  const names = ["for", "aria-describedby", "aria-labelledby", "href"];
  const given = every("[for], [aria-describedby], [aria-labelledby], [href^='#']");
  const ids = given.flatMap((element) => names.map((name) => element.getAttribute(name)).filter(Boolean));
  return ids.map((id) => id.replace("#", "")).filter((id) => !document.getElementById(id));
}

function doubleIds() {
  const ids = every("[id]").map((element) => element.id);
  return ids.filter((id, i) => ids.indexOf(id) < i);
}

function toolbarEnd() { return Math.max(...every(".transport *").map((element) => element.getBoundingClientRect().right)); }

// Below 4.5 to 1, WCAG 2.2, 1.4.3.
function paleTexts() {
  const texts = every("h2, label, .hint, .unit, .legend, output, .brand-sub, #state, button:not(:disabled)");
  const seen = texts.filter((element) => element.offsetParent && element.textContent.trim());
  return seen.map((element) => [contrast(element), element.textContent.trim().slice(0, 30)]).filter(([ratio]) => ratio < 4.5);
}

function contrast(element) {
  const [ink, paper] = [luminance(getComputedStyle(element).color), luminance(background(element))];
  return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
}

function background(element) {
  for (let box = element; box; box = box.parentElement) {
    const { backgroundColor } = getComputedStyle(box);
    if (rgba(backgroundColor)[3] === 255) return backgroundColor;
  }
  return "white";
}

function luminance(css) {
  const linear = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const [red, green, blue] = rgba(css).slice(0, 3).map((value) => linear(value / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function rgba(css) {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  pen.fillStyle = css;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data];
}
