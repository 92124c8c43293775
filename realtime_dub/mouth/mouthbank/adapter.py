"""How one person talks: by how much their mouth differs from the one that a net gives for the same voice.

A linear map from the net's features to the lower face, learnt by recursive least squares from frames of the person
speaking with their own voice; half a minute is worth more than any other speakers to the net (``dev-log.md``). It
is shown as far as it has been right: each frame is foretold before it is learnt from.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import Points
from realtime_dub.media import Floats
from realtime_dub.mouth.mouthbank import bank_shapes

RIDGE = 150.0  # frames that it takes to believe one feature, each of mean square 1
RIDGE_MEAN = 20.0  # and what is common to all frames
MOST_FRAMES = 20_000  # learnt from: 13 minutes at 25 per second; then the map is settled
LEAST_FRAMES = 40  # foretold before it is trusted
MEMORY = 250  # foretold frames over which its errors are averaged
FULL_TRUST = 0.06  # share of the net's error that it has to take away to be shown whole
HALF_TRUST = 60  # frames learnt from at which it is believed by half
MOST_MISSED = 0.6  # mouth widths: a frame further from the net's mouth is no speech, or badly tracked
MOST_MOVED = 0.35  # that it may move any point
MOST_FEATURES = 256
MOST_ADAPTERS = 4  # in a bank
_LIPS_AT = np.searchsorted(LOWER, LIPS)
_MOST_WEIGHT, _MOST_INVERSE, _MOST_ERROR = 50.0, 10.0, 10.0
_NUMBERS = ("weights", "inverse", "numbers")  # their names in a bank

Arrays = dict[str, npt.NDArray[np.generic]]


class Adapter:
    """One person's, for one net. Features (n,) are of mean 0 and mean square 1 over speech."""

    def __init__(self, features: int) -> None:
        self.frames = 0  # learnt from
        self._features = features
        self._weights = np.zeros((features + 1, len(LOWER) * 3), np.float32)
        self._inverse = np.diag(np.append(np.full(features, 1 / RIDGE), 1 / RIDGE_MEAN))
        self._foretold = 0
        self._net_error = self._own_error = 0.0

    @property
    def trust(self) -> float:
        """0..1, how far what it has learnt is shown."""
        if self._foretold < LEAST_FRAMES or self._net_error <= 0:
            return 0.0
        gained = 1 - self._own_error / self._net_error
        return float(np.clip(gained / FULL_TRUST, 0, 1)) * self.frames / (self.frames + HALF_TRUST)

    def moved(self, features: Floats) -> Points:
        """What to add to the net's mouth (len(LOWER), 3), mouth widths."""
        trust = self.trust
        if trust == 0 or len(features) != self._features:
            return np.zeros((len(LOWER), 3), np.float32)
        return np.clip(np.float32(trust) * self._foretell(_with_one(features)), -MOST_MOVED, MOST_MOVED)

    def learn(self, features: Floats, missed: Points) -> Points | None:
        """``missed`` (len(LOWER), 3): the person's mouth less the net's, mouth widths.

        Returns what it foretold of that before; None, and nothing is learnt, for what cannot be a mouth.
        """
        if len(features) != self._features or not (np.isfinite(features).all() and np.isfinite(missed).all()):
            return None
        if np.abs(missed[_LIPS_AT]).max() > MOST_MISSED:
            return None
        x = _with_one(features)
        foretold = self._foretell(x)
        error = missed - foretold
        self._judge(missed, error)
        if self.frames >= MOST_FRAMES:
            return foretold
        seen = self._inverse @ x
        gain = seen / (1.0 + float(x @ seen))
        self._inverse -= np.outer(gain, seen)
        self._weights += np.outer(gain.astype(np.float32), error.reshape(-1))
        self.frames += 1
        return foretold

    def _foretell(self, x: npt.NDArray[np.float64]) -> Points:
        return np.asarray((x.astype(np.float32) @ self._weights).reshape(-1, 3), np.float32)

    def _judge(self, missed: Points, error: Points) -> None:
        self._foretold += 1
        part = 1 / min(self._foretold, MEMORY)
        self._net_error += part * (lips_missed(missed) - self._net_error)
        self._own_error += part * (lips_missed(error) - self._own_error)

    def copy(self) -> Adapter:
        """Another one that knows the same."""
        other = Adapter(self._features)
        other.__dict__.update(self.__dict__)
        other._weights, other._inverse = self._weights.copy(), self._inverse.copy()
        return other

    def arrays(self, net: str) -> Arrays:
        """For a bank's file."""
        numbers = np.array([self.frames, self._foretold, self._net_error, self._own_error])
        return {
            "net": np.frombuffer(net.encode(), np.uint8),
            "weights": self._weights.astype(np.float16),
            "inverse": self._inverse.astype(np.float32),
            "numbers": numbers,
        }

    @classmethod
    def of(cls, arrays: Arrays) -> Adapter:
        """What :meth:`arrays` gave. Raises ValueError, or KeyError, for what it cannot have given."""
        weights, inverse, numbers = (arrays[name] for name in _NUMBERS)
        features = len(weights) - 1
        if not 0 < features <= MOST_FEATURES:
            raise ValueError("an adapter has no features, or too many")
        made, size = cls(features), features + 1
        made._weights = bank_shapes.numbers(weights, (size, len(LOWER) * 3), _MOST_WEIGHT)
        made._inverse = bank_shapes.numbers(inverse, (size, size), _MOST_INVERSE).astype(np.float64)
        frames, foretold = bank_shapes.numbers(numbers[:2], (2,), 1e9)
        made._net_error, made._own_error = (float(e) for e in bank_shapes.numbers(numbers[2:], (2,), _MOST_ERROR))
        made.frames, made._foretold = max(0, int(frames)), max(0, int(foretold))
        return made


def read_adapters(arrays: np.lib.npyio.NpzFile) -> dict[str, Adapter]:
    """Raises ValueError, and KeyError where a part is missing."""
    nets = bank_shapes.names(arrays, "net", MOST_ADAPTERS)
    return {net: Adapter.of({name: arrays[f"{name}{i}"] for name in _NUMBERS}) for i, net in enumerate(nets)}


def _with_one(features: Floats) -> npt.NDArray[np.float64]:
    return np.append(features.astype(np.float64), 1.0)


def lips_missed(missed: Points) -> float:
    """Mean distance of the lips' points in the picture's plane; ``missed`` (..., len(LOWER), 3)."""
    return float(np.linalg.norm(missed[..., _LIPS_AT, :2], axis=-1).mean())
