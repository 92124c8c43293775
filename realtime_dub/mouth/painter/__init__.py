"""painter: networks that paint the lower half of a face from a voice and a look at the person (docs/painters.md)."""

from __future__ import annotations

from realtime_dub.mouth.engine import Engine

_OPTIONS = frozenset({"bundle", "backend", "silence", "pads"})
_TOGETHER = 8  # frames of a file
_HOLDS = "realtime_dub.mouth.painter.holding:holds"

LIPGAN = Engine(
    name="lipgan",
    summary="a mouth painted by LipGAN",
    make="realtime_dub.mouth.painter.generator:lipgan",
    options=_OPTIONS,
    file_batch=_TOGETHER,
    holds=_HOLDS,
)
WAV2LIP = Engine(
    name="wav2lip",
    summary="a mouth painted by Wav2Lip, from weights of your own",
    make="realtime_dub.mouth.painter.generator:wav2lip",
    options=_OPTIONS,
    needs_bundle=True,
    file_batch=_TOGETHER,
    holds=_HOLDS,
)
