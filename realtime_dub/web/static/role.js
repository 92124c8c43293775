// Whom this page is for, as its address says.

const $ = (id) => document.getElementById(id);

const asked = new URLSearchParams(location.search);

export const role = ["interpreter", "viewer"].includes(asked.get("role")) ? asked.get("role") : "studio";
export const room = asked.get("room");
export const WELCOME = {
  studio: [$("welcome-title").textContent, $("welcome-text").textContent],
  interpreter: ["You are the voice.", "Start the microphone and speak: the person in this room says it with their own mouth. Your camera is not used."],
  viewer: ["Watch live.", "The picture and the sound come from this server, already dubbed."],
}[role];
