// The page: puts the studio together for the role that its address names.

import { Booth } from "./booth.js";
import { Captions } from "./captions.js";
import { Spoken, Watched, plain } from "./channels.js";
import { Echo } from "./echo.js";
import { Mirror } from "./mirror.js";
import { fold, pin } from "./pinned.js";
import { WELCOME, name, role } from "./role.js";
import { Studio } from "./studio.js";
import "./texts.js";
import { Under } from "./under.js";
import * as ui from "./ui.js";
import { wire } from "./wiring.js";

const $ = (id) => document.getElementById(id);

document.body.dataset.role = role;
if (role !== "studio") $("stage").dataset.view = "dubbed"; // one picture alone
name();
ui.scene("idle", WELCOME);
const studio = new Studio();
if (plain) document.body.dataset.plain = "";
if (role === "viewer") studio.watched = new Watched(() => studio.session);
if (role === "interpreter") studio.spoken = new Spoken(() => studio.session);
if (role === "interpreter") studio.booth = new Booth(() => studio.id, studio.devices);
if (role === "viewer") studio.under = new Under(() => studio.session);
if (role !== "interpreter") studio.captions = new Captions();
new Echo(studio.devices);
new Mirror($("stage"), $("original"), $("mirror"));
wire(studio);
pin();
fold(role, () => studio.redraw());
studio.load();
