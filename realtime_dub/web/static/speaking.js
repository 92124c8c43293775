// Who speaks just now, as the server hears it: a mark beside each name.

import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);

// `element` has the mark, or gets it: a dot that is filled, and a word for who does not see it.
export function mark(element, speaks) {
  if (!element.querySelector(".dot")) {
    const dot = document.createElement("span"), word = document.createElement("span");
    [dot.className, word.className, word.textContent] = ["dot", "unseen speaks-word", t("speaking.now")];
    dot.setAttribute("aria-hidden", "true");
    element.classList.add("speaks");
    element.prepend(dot);
    element.append(" ", word);
  }
  element.dataset.speaks = speaks ? "yes" : "no";
  element.querySelector(".speaks-word").hidden = !speaks;
}

// Beside the picture: whose face it is, and whose voice. `room` as the server tells it, or null.
export function showSpeaking(room) {
  const interprets = room?.interpreters > 0;
  $("speakers").hidden = !room?.sender;
  $("speaks-interpreter").hidden = !interprets;
  mark($("speaks-speaker"), room?.speaking?.speaker);
  mark($("speaks-interpreter"), interprets && room?.speaking?.interpreter);
}

// In a list whose lines have data-number: {number: whether they speak}.
export function markLines(list, speaking) {
  for (const line of list.querySelectorAll("[data-number]")) mark(line.firstElementChild, speaking[line.dataset.number]);
}
