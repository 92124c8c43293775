"""How an avatar's head moves, from what is heard of a voice and where it was: the bundle of task ``head``.

The net gives mean and spread of place and velocity (Lu, Chai, Cao: Live Speech Portraits, SIGGRAPH Asia 2021); what
happens is drawn from them. Three things keep it where the person was seen, whatever the net says: each frame it is
drawn to the place that the net expects, a little home to the usual place, and soft walls hold it within the recorded
range.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.errors import BundleError
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import HeadSpec
from realtime_dub.media import Floats
from realtime_dub.mouth.avatar.expression import FRAME_RATE, Follower
from realtime_dub.mouth.avatar.hearing import Hearing
from realtime_dub.mouth.avatar.person import PLACE, Person

__all__ = ["GIVEN", "HeadStream", "Wander", "walled"]

GIVEN = 2 * PLACE  # place in its spreads, velocity in its own
PULL = 0.15  # of the way to the place that was drawn; the rest is the velocity's
HOME_S = 8.0  # in which a head that is left alone comes home, but for 1/e
WALL = 0.25  # of the recorded range, on each side, in which the walls begin
SMOOTH_HZ = 2.5  # what is shown follows with two poles at this frequency


class Wander:
    """Where the head is, in spreads of its place. All arithmetic of a step but the net's."""

    def __init__(self, person: Person, seed: int = 0) -> None:
        self._seed, self._temperature = seed, np.tile(person.temperature, 2)  # of place and velocity alike
        self._low, self._high = person.low / person.spread, person.high / person.spread
        self._per_step = person.step / person.spread
        self._spread = person.spread
        self.before = np.zeros(GIVEN, np.float32)  # what the net is told of the frame before
        self._shown = np.zeros((2, PLACE), np.float32)

    def __call__(self, mean: Floats, spread: Floats, frame: int) -> Floats:
        """The place (6,) to show at frame ``frame``, of what the net gave for it: (12,) each."""
        noise = np.random.default_rng([self._seed, frame]).standard_normal(GIVEN)
        drawn = mean + spread * noise.astype(np.float32) * self._temperature
        here = self.before[:PLACE]
        went = here + drawn[PLACE:] * self._per_step
        went += np.float32(PULL) * (drawn[:PLACE] - went)
        went *= np.float32(1 - 1 / (HOME_S * FRAME_RATE))
        there = walled(went, self._low, self._high)
        self.before = np.concatenate([there, (there - here) / self._per_step])
        return np.asarray(self._smoothed(there) * self._spread)

    def _smoothed(self, there: Floats) -> Floats:
        share = np.float32(1 - np.exp(-2 * np.pi * SMOOTH_HZ / FRAME_RATE))
        self._shown[0] += share * (there - self._shown[0])
        self._shown[1] += share * (self._shown[0] - self._shown[1])
        return np.array(self._shown[1])


class HeadStream(Follower):
    """One head, frame by frame: the same for the same voice and seed."""

    def __init__(self, bundle: Bundle, hearing: Hearing, person: Person, backend: str = AUTO, seed: int = 0) -> None:
        spec = bundle.spec
        if not isinstance(spec, HeadSpec):
            raise BundleError("not an avatar's head:", str(bundle.folder), "train it: train-engine avatar-head")
        super().__init__(bundle, spec, hearing, backend)
        self._wander = Wander(person, seed)

    def __call__(self, frame_ns: int, frame: int) -> Floats:
        """The place (6,) of frame ``frame``, which is at ``frame_ns`` of the voice."""
        feeds = {"window": self._rows(frame_ns)[None], "before": self._wander.before[None]}
        found = self._stream.run(feeds, 1)
        mean, spread = found["mean"][0], found["spread"][0]
        if np.isfinite(mean).all() and np.isfinite(spread).all():
            self._stream.keep()
        else:
            self.forget()
            mean = spread = np.zeros(GIVEN, np.float32)
        return self._wander(mean, spread, frame)


def walled(place: Floats, low: Floats, high: Floats) -> Floats:
    """``place`` as it is far from the walls, and never beyond them: the last part of the way gets slower and slower."""
    depth = np.float32(WALL) * (high - low)
    over, under = place - (high - depth), (low + depth) - place
    with np.errstate(divide="ignore", invalid="ignore"):
        held = np.where(over > 0, high - depth + depth * np.tanh(over / depth), place)
        held = np.where(under > 0, low + depth - depth * np.tanh(under / depth), held)
    return np.clip(np.nan_to_num(held), low, high).astype(np.float32)
