"""A speaker whose interpreter comes later, leaves, and comes back: heard each time, with the mouth."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from web_peers import ROOMY_MS, Visitor, serving


def mouths(visitor: Visitor) -> int:
    """Made in time, of sound."""
    frames = visitor.got.stats[-1]["frames"] if visitor.got.stats else {}
    return int(frames.get("fresh", 0) - frames.get("starved", 0))


async def speaks(visitor: Visitor) -> None:
    """From now on the speaker's page hears the interpreter and sees mouths that were made of that."""
    sounds, made = len(visitor.got.sounds), mouths(visitor)
    await visitor.until(lambda: any(np.abs(each[2]).max() > 1500 for each in visitor.got.sounds[sounds:]))
    await visitor.until(lambda: mouths(visitor) > made + 20)


@pytest.mark.slow
def test_an_interpreter_may_come_later_leave_and_come_back() -> None:
    async def test() -> None:
        async with serving(max_sessions=3) as (_, http, url):
            speaker = Visitor(http, url)
            try:
                await speaker.connect(engine="passthrough", voice="room:hall", budget_ms=ROOMY_MS)
                await speaker.until(lambda: len(speaker.got.pictures) > 75)  # alone for three seconds
                await speaker.until(lambda: speaker.got.stats[-1]["frames"].get("starved", 0) > 40)
                for _ in range(2):
                    interpreter = Visitor(http, url)
                    await interpreter.connect(role="interpreter", room="hall")
                    await speaks(speaker)
                    assert await interpreter.delete() == 204
                    await interpreter.close()
                    await asyncio.sleep(1.5)
                assert await speaker.delete() == 204
            finally:
                await speaker.close()

    asyncio.run(test())
