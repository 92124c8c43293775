"""HiFi-GAN as a stage of ``train-engine``."""

from __future__ import annotations

from engines.common.engine import Stage
from engines.vocoder import stage

STAGES = {"vocoder": Stage(stage.Settings, stage.VocoderEngine)}
