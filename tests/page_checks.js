// What a reader of the page checks without a mouse: names, references, contrast, room. Each function lists what is wrong.

const every = (selector) => [...document.querySelectorAll(selector)];

function unnamed() {
  const spoken = every("button, input, select, video, canvas, progress, dialog, [role=meter], [role=group], [role=radiogroup]");
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

// How many rows the toolbar takes: each begins below all those of the one before.
function toolbarRows() {
  const boxes = every(".transport > *").map((element) => element.getBoundingClientRect()).filter((box) => box.width);
  return new Set(boxes.map((box) => boxes.filter((other) => other.bottom <= box.top + 1).length)).size;
}

const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getBoundingClientRect().width > 0;

// What scrolls and cannot be scrolled by keys: neither it nor anything in it takes the focus. WCAG 2.2, 2.1.1.
function stuckScrollers() {
  const scrolls = (element) => {
    const { overflowX, overflowY } = getComputedStyle(element);
    const across = /auto|scroll/.test(overflowX) && element.scrollWidth > element.clientWidth + 1;
    return across || (/auto|scroll/.test(overflowY) && element.scrollHeight > element.clientHeight + 1);
  };
  const takesFocus = (element) => element.tabIndex >= 0 && !element.disabled;
  const stuck = every("body *").filter((element) => seen(element) && scrolls(element) && !takesFocus(element));
  return stuck.filter((element) => ![...element.querySelectorAll("*")].some(takesFocus)).map((element) => element.className);
}

// What hides the element that has the focus: the toolbar over it, or the edge of the page. WCAG 2.2, 2.4.11.
function hidesFocus() {
  const element = document.activeElement;
  const target = element.closest(".file, .segments label, .switch") ?? element; // of which the input is a part
  const { left, top, width, height } = target.getBoundingClientRect();
  const over = document.elementFromPoint(left + width / 2, top + height / 2);
  if (over && (target.contains(over) || over.contains(target))) return null;
  return `${over?.className ?? "the edge"} over ${element.id || element.name}`;
}

// Below 24 by 24 pixels, WCAG 2.2, 2.5.8; what lies in a label is pressed by that.
function smallTargets() {
  const targets = every("button, select, input, a[href]").filter((element) => seen(element) && !element.matches(".skip"));
  const boxes = targets.map((element) => [element.id || element.name, (element.closest("label") ?? element).getBoundingClientRect()]);
  return boxes.filter(([, box]) => box.width < 24 || box.height < 24).map(([id]) => id);
}

// Regions that speak by themselves must not count the seconds.
function talkative() {
  return every("[role=alert] button, [role=status] button, [role=alert] progress, [role=status] .clock").map((element) => element.id);
}

function sideways() {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const beyond = every("main *, header *, footer *").filter((element) => seen(element) && !element.closest(".unseen, svg") && element.getBoundingClientRect().right > innerWidth + 1);
  return wide > 0 ? [`${wide} px`] : beyond.map((element) => element.id || element.className).filter((each) => typeof each === "string" && each);
}

// Below 4.5 to 1, WCAG 2.2, 1.4.3.
function paleTexts() {
  const texts = every("h2, h3, label, li, dt, dd, p, .hint, .unit, output, .brand-sub, #state, button:not(:disabled)");
  const shown = texts.filter((element) => element.offsetParent && element.textContent.trim() && !element.closest(".stage, .skip, :disabled, .unseen"));
  return shown.map((element) => [contrast(element), element.textContent.trim().slice(0, 30)]).filter(([ratio]) => ratio < 4.5);
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
