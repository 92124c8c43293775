"""What the generator hears: the ring's sound as 16 kHz mono, every sample once, counted from one instant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.audio.resample import StreamResampler
from realtime_dub.blend.patch import rests
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import MS, NS, Blendshapes, Floats, Samples, ns_to_samples, samples_to_ns
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import (
    VOICE_RATE,
    Generated,
    GeneratesBatches,
    Hear,
    ImplausibleMouth,
    MouthGenerator,
    blendshapes_of,
    landmarks_of,
)
from realtime_dub.pipeline.contracts import Resampler

MakeResampler = Callable[[int], Resampler]


def mono_resampler(rate: int) -> Resampler:
    """``rate`` -> 16 kHz, one channel."""
    return StreamResampler(rate, VOICE_RATE, 1)


def resampler_delay_ns(rate: int, make: MakeResampler = mono_resampler) -> int:
    """How far a streaming resampler's output stays behind its input at most, measured on a second of silence."""
    if rate == VOICE_RATE:
        return 0
    resampler, given, got, worst = make(rate), 0, 0, 0
    for _ in range(50):
        piece = np.zeros((rate // 50, 1), np.float32)
        given += len(piece)
        got += len(resampler.process(piece))
        worst = max(worst, samples_to_ns(given, rate) - samples_to_ns(got, VOICE_RATE))
    return worst


class Sound(Protocol):
    """Where the sound is read from: the live ring, or a file's."""

    rate: int

    def read(self, start_ns: int, count: int) -> Samples:
        """``count`` samples from ``start_ns`` on, silence where there are none."""


class Heard:
    """Whether there was a voice at all, and a mouth for it; for a note where there was none."""

    def __init__(self) -> None:
        self._sound = self._asked = self._spoken = self._rested = self._drawn = False

    def sound(self, samples: Samples) -> None:
        """What the generator is given to hear."""
        self._sound = self._sound or bool(samples.any())

    def mouth(self, seen: TrackedFrame, patch: Generated | None, shapes: Blendshapes | None = None) -> None:
        """What the generator made of it for a picture; ``shapes``: of the mouth that it heard, drawn or not."""
        self._asked = self._asked or seen.face is not None
        self._rested = self._rested or rests(patch)
        self._drawn = self._drawn or patch is not None
        speaks = patch is not None and not rests(patch)
        self._spoken = self._spoken or speaks or (shapes is not None and any(shapes.values()))

    def note(self, name: str, speaks: bool) -> str | None:
        """``name``: the voice's; ``speaks``: the generator makes mouths at all."""
        if not self._sound:
            return f"no voice was heard in {name}: it is silent all through"
        if speaks and self._asked and not self._spoken:
            does = "rests" if self._rested else "stays as it is"
            return f"no voice was heard in {name}: nothing in it is clear enough to be speech, the mouth {does}"
        if speaks and self._asked and not self._drawn:
            return "no mouth was drawn: in every picture the face is turned too far away, or its mouth is covered"
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What the generator made for an instant."""

    asked: bool = False  # it had heard enough
    patch: Generated | None = None
    blendshapes: Blendshapes | None = None
    implausible: bool = False
    landmarks: Points | None = None  # (68, 2) of the frame with its mouth, pixels


class AudioFeeder:
    """Reads ``ring`` on from ``start_ns`` and lets ``hear`` have it, 16 kHz mono. Used by one thread."""

    def __init__(self, ring: Sound, hear: Hear, start_ns: int, make: MakeResampler = mono_resampler) -> None:
        self._ring, self._hear, self._start_ns = ring, hear, start_ns
        self.heard = Heard()
        self._mixer = MonoMixer(ring.rate)
        self._resampler = None if ring.rate == VOICE_RATE else make(ring.rate)
        self._read = 0  # samples since start_ns at the ring's rate
        self._given = 0  # and at 16 kHz

    @property
    def at_ns(self) -> int:
        """Up to where it was read."""
        return self._start_ns + samples_to_ns(self._read, self._ring.rate)

    @property
    def read_ns(self) -> int:
        """How much of it was read."""
        return samples_to_ns(self._read, self._ring.rate)

    def hear_until(self, until_ns: int) -> None:
        """Up to ``until_ns``, in pieces of at most a second; silence where the ring has no sound."""
        end = ns_to_samples(until_ns - self._start_ns, self._ring.rate)
        while (count := min(end - self._read, self._ring.rate)) > 0:
            samples = self._ring.read(self.at_ns, count)
            self.heard.sound(samples)
            self._give(self._mono(samples))
            self._read += count

    def _mono(self, samples: Samples) -> Floats:
        mixed: Floats = self._mixer(samples)
        if self._resampler is None:
            return mixed
        return self._resampler.process(mixed[:, None])[:, 0]

    def _give(self, heard: Floats) -> None:
        if len(heard):
            self._hear(heard, self._start_ns + samples_to_ns(self._given, VOICE_RATE))
            self._given += len(heard)


class VoiceFeeder(AudioFeeder):
    """Lets the generator hear the voice, and asks it for mouths. Used by the engine thread alone."""

    def __init__(
        self, ring: Sound, generator: MouthGenerator, start_ns: int, make: MakeResampler = mono_resampler
    ) -> None:
        super().__init__(ring, generator.hear, start_ns, make)
        self._generator = generator

    def no_voice(self, name: str) -> str | None:
        """What there is to say where ``name`` had no voice in it."""
        return self.heard.note(name, self._generator.name != registry.NOTHING)

    def mouth(self, tracked: TrackedFrame, at_ns: int) -> Made:
        """The mouth for the voice at ``at_ns``, as far as that is heard."""
        askable = askable_ns(self._generator, at_ns)
        if askable is None:
            return Made()
        try:
            patch = self._generator.generate(tracked, askable)
        except ImplausibleMouth:
            return Made(asked=True, implausible=True, landmarks=landmarks_of(self._generator))
        shapes = blendshapes_of(self._generator)
        self.heard.mouth(tracked, patch, shapes)
        return Made(True, patch, shapes, landmarks=landmarks_of(self._generator))

    def mouths(self, asked: Sequence[tuple[TrackedFrame, int]]) -> list[Made]:
        """:meth:`mouth` for several frames of a file: together, where the generator can."""
        if len(asked) > 1 and isinstance(self._generator, GeneratesBatches):
            askable = [(tracked, askable_ns(self._generator, at_ns)) for tracked, at_ns in asked]
            if all(at_ns is not None for _, at_ns in askable):
                return self._batch([(tracked, at_ns) for tracked, at_ns in askable if at_ns is not None])
        return [self.mouth(tracked, at_ns) for tracked, at_ns in asked]

    def _batch(self, asked: Sequence[tuple[TrackedFrame, int]]) -> list[Made]:
        assert isinstance(self._generator, GeneratesBatches)
        patches = self._generator.generate_batch(asked)
        for (tracked, _), patch in zip(asked, patches, strict=True):
            self.heard.mouth(tracked, patch)
        return [Made(True, patch) for patch in patches]


def needs_ns(generator: MouthGenerator, resample_ns: int) -> int:
    """How much sound after an instant has to be read before the generator can be asked for that instant."""
    latency = generator.latency()
    rounding_ns = 0 if not latency.look_ahead_ns + latency.front_end_ns else NS // VOICE_RATE
    return latency.look_ahead_ns + latency.front_end_ns + resample_ns + rounding_ns


def askable_ns(generator: MouthGenerator, at_ns: int) -> int | None:
    """The instant to ask the generator for: ``at_ns``, or a little before it if that is as far as it has heard.

    None where it has heard much less: then there is no mouth for ``at_ns``.
    """
    heard_ns = generator.heard_until_ns()
    if heard_ns >= at_ns:
        return at_ns
    return heard_ns if at_ns - heard_ns <= 20 * MS else None
