"""Audio to head motion as a stage of ``train-engine``, and as one step of making an avatar."""

from __future__ import annotations

import shutil
from pathlib import Path

from engines.avatar_head import stage
from engines.common.avatar import run_of, train_part
from engines.common.engine import Stage
from realtime_dub.mouth.avatar.person import IDLE

NAME = "avatar-head"
STAGES = {"head": Stage(stage.Settings, stage.HeadEngine, filmed=True)}


def train(folder: Path, resume: bool = False, config: Path | None = None, gpu: bool = False) -> Path:
    """Teach the avatar in ``folder`` to move its head and to blink, from its ``data/``; returns its ``head/``.

    Its ``idle.npz`` comes with it. Raises UserError.
    """
    place = train_part(NAME, "head", folder, resume, config, gpu)
    shutil.copyfile(run_of(folder, "head") / "head" / IDLE, folder / IDLE)
    return place
