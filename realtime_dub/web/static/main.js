// The page: puts the studio together for the role that its address names.

import { Mirror } from "./mirror.js";
import { WELCOME, role } from "./role.js";
import { Studio } from "./studio.js";
import * as ui from "./ui.js";
import { wire } from "./wiring.js";

const $ = (id) => document.getElementById(id);

document.body.dataset.role = role;
if (role === "viewer") $("stage").dataset.view = "dubbed";
ui.scene("idle", WELCOME);
const studio = new Studio();
new Mirror($("stage"), $("original"), $("mirror"));
wire(studio);
studio.load();
