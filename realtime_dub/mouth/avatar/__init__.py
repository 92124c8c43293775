"""avatar: a trained person who speaks any voice, whole pictures of them (see engines/avatar/README.md)."""

from __future__ import annotations

from realtime_dub.mouth.engine import Engine

ENGINE = Engine(
    name="avatar",
    summary="a trained person in place of the picture, moved by any voice",
    make="realtime_dub.mouth.avatar.generator:AvatarGenerator",
    options=frozenset({"bundle", "strength", "backend", "head", "backdrop", "size", "enhance", "enhancer"}),
    output="frame",
    needs_live_face=False,
    needs_bundle=True,
)
