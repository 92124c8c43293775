"""The translator from drawings to pictures as the one stage of ``train-engine face-translator``."""

from __future__ import annotations

from engines.common.engine import Stage
from engines.face_translator import stage
from engines.face_translator.film import of_film

__all__ = ["STAGES", "of_film"]

STAGES = {"translator": Stage(stage.Settings, stage.TranslatorEngine)}
