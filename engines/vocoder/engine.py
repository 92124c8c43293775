"""HiFi-GAN and a small vocoder of pulses and noise as stages of ``train-engine``."""

from __future__ import annotations

from engines.common.engine import Stage
from engines.vocoder import source_stage, stage

STAGES = {
    "vocoder": Stage(stage.Settings, stage.VocoderEngine),
    source_stage.STAGE: Stage(source_stage.Settings, source_stage.SourceEngine, extra=True),
}
