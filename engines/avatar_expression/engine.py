"""Audio to expression as stages of ``train-engine``, and as one step of making an avatar."""

from __future__ import annotations

from pathlib import Path

from engines.avatar_expression import stage
from engines.common.avatar import train_part
from engines.common.engine import Stage

NAME = "avatar-expression"
STAGES = {
    "general": Stage(stage.Settings, stage.GeneralEngine, filmed=True, extra=True),
    "expression": Stage(stage.OwnSettings, stage.OwnEngine, filmed=True),
}


def train(folder: Path, resume: bool = False, config: Path | None = None, gpu: bool = False) -> Path:
    """Teach the avatar in ``folder`` to speak, from its ``data/``; returns its ``expression/``. Raises UserError."""
    return train_part(NAME, "expression", folder, resume, config, gpu)
