"""What pages ask cameras for: measured once, at the server's start, on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import MouthGenerator
from realtime_dub.pipeline import camera, camera_kept
from realtime_dub.pipeline.camera import LARGE, USUAL, CameraMode
from realtime_dub.web.config import ServeConfig

SIZES = {"480p": USUAL, "720p": LARGE}
log = logging.getLogger("realtime_dub.web")


class CameraAdvice:
    """On the server's loop. ``make``: a generator as sessions have it."""

    def __init__(self, config: ServeConfig, make: Callable[[], MouthGenerator]) -> None:
        self._config, self._make = config, make
        self._measuring: asyncio.Future[CameraMode] | None = None

    def begin(self) -> None:
        """Before anybody is dubbed: it would cost them mouths, and say little."""
        self._measuring = asyncio.ensure_future(asyncio.to_thread(self._choose))

    async def mode(self) -> CameraMode:
        """What to ask for; waits for the measurement, if there is one."""
        if self._measuring is None:
            return replace(self._at_our_rate(USUAL), why="this server has not measured its machine")
        return await asyncio.shield(self._measuring)

    async def close(self) -> None:
        """Waits for the thread."""
        if self._measuring is not None:
            await asyncio.gather(self._measuring, return_exceptions=True)

    def _choose(self) -> CameraMode:
        if self._config.size != "auto":
            return replace(self._at_our_rate(SIZES[self._config.size]), why="as asked for")
        if self._config.picture_height < LARGE.height:
            return replace(self._at_our_rate(USUAL), why=f"--picture-height is {self._config.picture_height}")
        try:
            kept = camera_kept.kept(engine=registry.DEFAULT, bundle=self._config.bundle, of="studio")
            return camera.choose(self._make, self._config.fps_asked, kept=kept)
        except Exception:  # a fault in a trial is no reason to have no studio
            log.warning("the machine was not measured", exc_info=True)
            return replace(self._at_our_rate(USUAL), why="this machine could not be measured")

    def _at_our_rate(self, mode: CameraMode) -> CameraMode:
        return replace(mode, fps=self._config.fps)
