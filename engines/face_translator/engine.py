"""The stages of ``train-engine face-translator``: from drawings to pictures, and what smooths these."""

from __future__ import annotations

from engines.common.engine import Stage
from engines.face_translator import denoiser, stage
from engines.face_translator.film import of_film

__all__ = ["STAGES", "of_film"]

STAGES = {
    "translator": Stage(stage.Settings, stage.TranslatorEngine),
    "denoiser": Stage(denoiser.Settings, denoiser.DenoiserEngine, needs=("translator",), extra=True),
}
