"""own-texture: a recurrent net's sparse mouth, filled from the person's own frames (docs/own-texture.md)."""

from __future__ import annotations

from realtime_dub.mouth.engine import Engine

ENGINE = Engine(
    name="own-texture",
    summary="the mouth put together from the person's own frames, after Synthesizing Obama",
    make="realtime_dub.mouth.own_texture.generator:OwnTextureGenerator",
    options=frozenset({"bundle", "identity", "strength", "look_ahead_ms", "backend", "silence", "quality"})
    | {"teeth_upper", "teeth_lower", "line_upper", "line_lower", "steps"},
    blendshapes=True,
    identity="realtime_dub.mouth.mouthbank.enrolment:Banks",
)
