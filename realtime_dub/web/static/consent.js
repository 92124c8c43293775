// Whether this person agrees that others' voices move their mouth: asked before the first, once as long as the page is open.

import { ApiError } from "./api.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
let agreed = false, asking = null;

// `options` as the server wants them; rejects where others would speak for a person who does not agree.
export async function consented(options) {
  if (!options.voice?.startsWith("room:") && !options.languages?.length) return options; // nobody else speaks for them
  agreed ||= await (asking ??= ask().finally(() => { asking = null; }));
  if (!agreed) throw new ApiError(0, t("consent.refused"), t("consent.refused.do"));
  return { ...options, consent: true };
}

// Resolves to whether the button was pressed: leaving the dialog in any other way is a no.
function ask() {
  const dialog = $("consent");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}
