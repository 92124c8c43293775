"""The studio with real connections: aiortc plays the browser."""

from __future__ import annotations

import asyncio

import numpy as np
from web_peers import Visitor, serving


def test_frames_come_back_dubbed_and_in_step() -> None:
    async def go() -> None:
        async with serving() as (studio, http, url):
            visitor = Visitor(http, url)
            try:
                await visitor.connect()
                await visitor.until(lambda: len(visitor.got.pictures) > 100)
                print(visitor.summary())
            finally:
                await visitor.close()
                assert await visitor.delete() == 204
            assert studio.sessions == {}

    asyncio.run(go())
