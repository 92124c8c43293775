// What the page says, in the language that the browser asks for: plain tables of JSON beside this file.

export const LANGUAGES = ["en", "de", "es", "fr", "ar", "hi", "zh"];
const RIGHT_TO_LEFT = ["ar"];

export const language = chosen(navigator.languages ?? [navigator.language]);
const table = (await load(language)) ?? (await load("en")) ?? {};

// The first of those that are wanted that there is; English where there is none.
export function chosen(wanted) {
  const bases = wanted.map((tag) => tag.toLowerCase().split("-")[0]);
  return bases.find((base) => LANGUAGES.includes(base)) ?? "en";
}

async function load(name) {
  try {
    const answer = await fetch(new URL(`texts/${name}.json`, import.meta.url));
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

// `values` stand where the text has {their name}.
export function t(key, values = {}) {
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

// What the server says in `from` under that name, in the page's language where its table has it; else in English.
export function told(from, name, codes = from?.codes) {
  const found = codes?.[name], key = `told.${found?.code}`;
  return found && Object.hasOwn(table, key) ? t(key, found.values) : from?.[name];
}

const ATTRIBUTES = ["aria-label", "title", "placeholder", "content"];

// What stands in the page itself: data-t names the text of an element, data-t-title that of an attribute.
function fill(root = document) {
  document.documentElement.lang = language;
  document.documentElement.dir = RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr";
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const name of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[data-t-${name}]`)) element.setAttribute(name, t(element.getAttribute(`data-t-${name}`)));
  }
}

// A language's own name for itself, or for another one.
export function languageName(tag) {
  if (!tag) return "";
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}

fill(); // before any other module reads what stands in the page
