"""mouthbank: the mouth's motion from audio, drawn with the person's own mouth (see engines/mouthbank/README.md)."""

from __future__ import annotations

from realtime_dub.mouth.engine import Engine

ENGINE = Engine(
    name="mouthbank",
    summary="the person's own mouth, moved by any voice",
    make="realtime_dub.mouth.mouthbank.generator:MouthbankGenerator",
    options=frozenset({"bundle", "identity", "strength", "look_ahead_ms", "backend", "learn", "silence", "quality"}),
    blendshapes=True,
    identity="realtime_dub.mouth.mouthbank.enrolment:Banks",
)
