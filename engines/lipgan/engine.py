"""Painters as stages of ``train-engine``: LipGAN's generator, alone and against its discriminator; and the slim one."""

from __future__ import annotations

from engines.common.engine import Stage
from engines.lipgan import hear_stage, painters, slim_stage
from engines.lipgan.nets import trained

__all__ = ["STAGES", "trained"]

STAGES = {
    "generator": Stage(painters.Settings, painters.GeneratorEngine, filmed=True),
    "gan": Stage(painters.GanSettings, painters.GanEngine, filmed=True),
    "hear": Stage(hear_stage.Settings, hear_stage.HearEngine, filmed=True, extra=True),
    "slim": Stage(slim_stage.Settings, slim_stage.SlimEngine, needs=("hear",), filmed=True, extra=True),
}
