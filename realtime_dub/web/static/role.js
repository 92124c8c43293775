// Whom this page is for, as its address says.

import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);

const asked = new URLSearchParams(location.search);

export const role = ["interpreter", "viewer"].includes(asked.get("role")) ? asked.get("role") : "studio";
export const room = asked.get("room");
export const channel = asked.get("channel"); // the language that an interpreter speaks
export const WELCOME = {
  studio: [$("welcome-title").textContent, $("welcome-text").textContent],
  interpreter: [t("role.interpreter"), t("role.interpreter.do")],
  viewer: [t("role.viewer"), t("role.viewer.do")],
}[role];

// While nothing runs: an avatar needs no camera.
export function welcome() {
  return role === "studio" && document.body.dataset.picture === "avatar" ? [t("avatar.welcome"), t("avatar.welcome.do")] : WELCOME;
}

// What the one picture of an interpreter is: nothing of it is dubbed.
export function name() {
  if (role !== "interpreter") return;
  $("dubbed").nextElementSibling.textContent = t("page.original");
  $("dubbed").ariaLabel = t("role.original");
  $("listen").title = t("role.listen");
  $("check").textContent = t("green.open_microphone");
}
