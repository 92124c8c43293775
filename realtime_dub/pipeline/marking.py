"""Marks in what a run gives out: in each frame that something was drawn into, and in the voice meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from realtime_dub.blend.patch import MouthPatch
from realtime_dub.media import ALL, NS, AudioBlock, Coded, Frame, Image, Part, Samples, ns_to_samples, samples_to_ns
from realtime_dub.trust.marks.payload import Payload

_EPOCH_S = 1_767_225_600  # 2026-01-01
DAY_S = 86_400
_LASTS_NS = NS  # of the voice, after the last frame that was dubbed


def payload_of_today() -> Payload:
    """The serial is the day, counted from the first of 2026."""
    return Payload(max(0, int(time.time()) - _EPOCH_S) // DAY_S)


class Marks:
    """Those of one run. Frames are marked on the thread that composes them, the voice on the one that gives it out."""

    def __init__(self, payload: Payload) -> None:
        from realtime_dub.trust.marks.picture import PictureMarker

        self._payload, self._picture = payload, PictureMarker(payload)
        self._dubbed_ns: int | None = None  # the instant of the last frame that was
        self._sound: Any = None

    @property
    def looks(self) -> bool:
        """Of the next frame all pixels are needed, whatever leaves of it."""
        return self._picture.looks

    def frame(
        self, frame: Frame, image: Image, drawn: object, parts: Sequence[Part] = (ALL,)
    ) -> tuple[Image, Coded | None]:
        """``image``, made of ``frame`` and ``drawn``, marked; and the coded picture that it was made of, likewise.

        Where nothing was drawn, both are the frame's own. A whole frame may be its engine's, and shown once more: what
        is marked is a copy. Into what a mouth was put is marked itself, and there no more than ``parts``.
        """
        if image is frame.image:
            self.rest()
            return image, frame.coded
        self._dubbed_ns = frame.pts_ns
        self._picture.begin(frame.pts_ns, image)
        coded = None if frame.coded is None else self._picture.coded(frame.coded)
        own = isinstance(drawn, MouthPatch)
        return self._picture.image(image, own, parts if own else (ALL,)), coded

    def rest(self) -> None:
        """A frame leaves as it came."""
        self._picture.rest()

    def sound(self, block: AudioBlock, at_ns: int) -> AudioBlock:
        """The voice under a frame of ``at_ns``, marked if one was dubbed within a second before it."""
        if self._dubbed_ns is None or at_ns - self._dubbed_ns > _LASTS_NS or not block.samples.any():
            return block
        if self._sound is None:
            self._sound = sound_marker(self._payload, block.rate)
        marked: AudioBlock = self._sound.block(block)
        return marked

    def reader(self, read: Any, rate: int) -> Any:
        """``read`` (``publishers.base.ReadVoice``), with the mark in it: a speaker's own way to the voice."""
        marker = sound_marker(self._payload, rate)

        def read_marked(instant_ns: int, count: int) -> Samples:
            samples: Samples = read(instant_ns, count)
            if self._dubbed_ns is None or not samples.any():
                return samples
            first = ns_to_samples(instant_ns, rate)
            marked: Samples = marker.block(AudioBlock(samples, rate, samples_to_ns(first, rate))).samples
            return marked

        return read_marked


def sound_marker(payload: Payload, rate: int) -> Any:
    from realtime_dub.trust.marks.sound import SoundMarker

    return SoundMarker(payload, rate)
