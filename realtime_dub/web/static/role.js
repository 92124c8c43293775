// Whom this page is for, as its address says.

const $ = (id) => document.getElementById(id);

const asked = new URLSearchParams(location.search);

export const role = ["interpreter", "viewer"].includes(asked.get("role")) ? asked.get("role") : "studio";
export const room = asked.get("room");
export const channel = asked.get("channel"); // the language that an interpreter speaks
export const WELCOME = {
  studio: [$("welcome-title").textContent, $("welcome-text").textContent],
  interpreter: ["You are the voice.", "Put headphones on, start the microphone and speak: the person in this room says it with their own mouth. You hear and see them as they are. Your camera is not used."],
  viewer: ["Watch live.", "The picture and the sound come from this server, already dubbed."],
}[role];

// What the one picture of an interpreter is: nothing of it is dubbed.
export function name() {
  if (role !== "interpreter") return;
  $("dubbed").nextElementSibling.textContent = "Original";
  $("dubbed").ariaLabel = "The person you speak for, undubbed";
  $("listen").title = "Hear the person you speak for; wear headphones (L)";
}
