"""The speaker net as a stage of ``train-engine``."""

from __future__ import annotations

from engines.common.engine import Stage
from engines.speaker import stage

STAGES = {"speaker": Stage(stage.Settings, stage.SpeakerEngine)}
