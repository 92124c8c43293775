"""landmark-dub as a stage of ``train-engine``."""

from __future__ import annotations

from engines.common.engine import Stage
from engines.landmark_dub import stage

STAGES = {"landmarks": Stage(stage.Settings, stage.LandmarkEngine, filmed=True)}
