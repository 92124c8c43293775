// The page of an address at which there is nothing: the server says what of the address it is.

import { t } from "./texts.js";

const $ = (id) => document.getElementById(id);
const why = document.body.dataset.why, asked = new URLSearchParams(location.search);
const WORDS = { room: "absent.room", role: "absent.role", channel: "absent.channel" };

if (WORDS[why]) $("why").textContent = t(WORDS[why], { name: asked.get(why) });
if (why === "channel") { // all else of the address is right
  asked.delete("channel");
  $("back").href = `?${asked}`;
  $("back").textContent = t("absent.without");
}
