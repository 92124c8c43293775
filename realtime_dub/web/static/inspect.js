// The page that asks the server what a file says of itself.

import * as api from "./api.js";
import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
let asked = 0; // of several files the last one chosen counts

function line(name, text) {
  const item = document.createElement("li");
  const [what, said] = [document.createElement("span"), document.createElement("bdi")];
  what.textContent = name;
  said.textContent = text;
  item.append(what, " ", said);
  return item;
}

const seconds = ([start, end]) => `${start.toFixed(1)}–${end.toFixed(1)} s`;

function lines({ says, signer, sources, why, tag, marks }) {
  const shown = [];
  if (why.length) shown.push(line(t("inspect.why"), why.join(", ")));
  if (says) {
    shown.push(line(t("inspect.by"), [says.generator, says.told.engine, says.told.bundle, says.when].filter(Boolean).join(", ")));
    if (says.dubbed) shown.push(line(t("inspect.changed"), says.dubbed.map(seconds).join(", ") || t("inspect.nothing")));
    shown.push(line(t("inspect.signer"), signer || "–"));
  } else if (tag) {
    shown.push(line(t("inspect.by"), ["realtime-dub", tag.version, tag.bundle].filter(Boolean).join(" ")));
  }
  for (const source of sources) shown.push(line(t("inspect.source"), source.generator || "–"));
  for (const mark of marks) shown.push(line(t(`inspect.mark.${mark.where}`), `${seconds([mark.start_s, mark.end_s])}, ${Math.round(100 * mark.confidence)} %`));
  return shown;
}

async function look(file) {
  const mine = ++asked;
  $("file-name").textContent = file.name;
  $("found").replaceChildren();
  $("says").textContent = t("inspect.busy");
  try {
    const found = await api.inspection(file);
    if (mine !== asked) return;
    $("says").textContent = t(`inspect.state.${found.state}`);
    $("found").replaceChildren(...lines(found));
  } catch (error) {
    if (mine !== asked) return;
    $("token-form").hidden = error.status !== 401;
    $("token-what").textContent = error.status === 401 ? error.message : "";
    $("says").textContent = `${error.message} ${error.do ?? ""}`;
  }
}

$("file").addEventListener("change", () => { if ($("file").files[0]) look($("file").files[0]); });
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useToken($("token").value);
  $("token-form").hidden = true;
  if ($("file").files[0]) look($("file").files[0]);
});
