"""mouthbank: the mouth's motion from audio, drawn with the person's own mouth (see engines/mouthbank/README.md)."""

from __future__ import annotations

from realtime_dub.mouth.engine import Engine

_IDENTITY = "realtime_dub.mouth.mouthbank.enrolment:Banks"
ENGINE = Engine(
    name="mouthbank",
    summary="the person's own mouth, moved by any voice",
    make="realtime_dub.mouth.mouthbank.generator:MouthbankGenerator",
    options=frozenset({"bundle", "identity", "strength", "look_ahead_ms", "backend", "learn", "silence", "quality"}),
    blendshapes=True,
    identity=_IDENTITY,
)
LANDMARK_DUB = Engine(
    name="landmark-dub",
    summary="the person's own mouth, moved by landmarks of the lips",
    make="realtime_dub.mouth.mouthbank.landmark_dub:LandmarkDubGenerator",
    options=frozenset({"bundle", "identity", "strength", "backend", "silence", "quality", "translator", "denoiser"}),
    blendshapes=True,
    identity=_IDENTITY,
)
