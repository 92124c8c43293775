"""HPMDubbing as a stage of ``train-engine``."""

from __future__ import annotations

from engines.common.engine import Stage
from engines.hpm import stage

STAGES = {"speech": Stage(stage.Settings, stage.HpmEngine, filmed=True, spoken=True)}
