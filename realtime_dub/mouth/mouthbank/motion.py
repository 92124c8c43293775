"""The motion net's stream: log-mels to how the lower face moves, and whether somebody speaks."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import MotionSpec
from realtime_dub.media import Floats
from realtime_dub.mouth.mouthbank.adapter import MOST_FEATURES
from realtime_dub.mouth.mouthbank.speaker_level import SpeakerLevel
from realtime_dub.mouth.mouthbank.trunk import MOST_WIDTH, STRIDE, Trunk, TrunkStream
from realtime_dub.mouth.mouthbank.tuning import Tape, Tuned
from realtime_dub.mouth.mouthbank.voice_stream import (
    HISTORY_NS,
    MAX_FRAMES,
    NEVER_NS,
    PAIRS_AT,
    Motion,
    Place,
    VoiceStream,
    opening,
)

__all__ = ["FEATURES", "MAX_FRAMES", "Motion", "MotionStream", "opening"]

FEATURES, TOLD = "features", "told"  # the outputs' names
MOST_TOLD = 100.0  # either way: what a network of somebody's tells is believed as far as that
MOST_SAID = 1_000.0  # the same of coefficients, which are of spread 1
_trunks: WeakKeyDictionary[Bundle, Trunk] = WeakKeyDictionary()


class MotionStream(VoiceStream):
    """A voice through a bundle of task ``motion``.

    ``tape``: takes down what is told of the voice, for who tunes the net; ``history_ns``: for how long a motion is
    remembered.
    """

    def __init__(
        self, bundle: Bundle, backend: str = AUTO, tape: Tape | None = None, history_ns: int = HISTORY_NS
    ) -> None:
        spec = bundle.motion
        _check_names(spec)
        features = _feature_count(spec)
        delay = spec.look_ahead_ns // spec.audio.hop_ns
        self._speaker_level = SpeakerLevel(spec.audio, delay)
        self._bundle, inputs = bundle, told_by(spec)
        self._tuned: Tuned | None = None
        self._tape: Tape | None = None  # until it is known that the network is as its spec says
        self._turned: _Turned | None = None
        super().__init__(spec, bundle.session(backend), np.array(spec.points), features, history_ns)
        self._told = np.zeros((len(self._speech) // STRIDE, inputs), np.float32)
        self._try_out(spec.name, bundle.known)
        self._tape = tape
        self._restart(None)

    def _moved(self, frames: Floats) -> tuple[Floats, Floats, Floats | None]:
        results = self._stream.run({"mel": frames[None]}, len(frames))
        features = results[FEATURES][0] if self._features.shape[1] else None
        if self._told.shape[1]:
            self._take(results[TOLD][0][-self._outputs % STRIDE :: STRIDE])
        return results["displacement"][0], results["speech"][0], features

    @property
    def _computed(self) -> int:
        """How many of the frames so far a trunk computes."""
        return -(-self._outputs // STRIDE)

    def _take(self, told: Floats) -> None:
        """What is told of frames that a trunk computes (n, inputs)."""
        first, told = self._computed, np.clip(np.nan_to_num(told), -MOST_TOLD, MOST_TOLD)
        self._told[(first + np.arange(len(told))) % len(self._told)] = told
        if self._tape is not None:
            self._tape.add(told)
        if self._turned is not None:
            self._turned.add(told, first)

    def _restart(self, origin_ns: int | None) -> None:
        super()._restart(origin_ns)
        if self._turned is not None:
            self._turned.forget()
        if self._tape is not None and origin_ns is not None:
            self._tape.begin()

    def tune(self, tuned: Tuned | None) -> None:
        if tuned is self._tuned:
            return
        self._catch_up()
        self._tuned, self._turned = tuned, None
        trunk = None if tuned is None else trunk_of(self._bundle)
        if tuned is None or trunk is None or len(tuned.change) != trunk.shape.size:
            return
        self._turned = _Turned(trunk.changed(tuned.change), len(self._told))
        oldest = max(0, self._computed - len(self._told))  # what is farther back has no part in what is remembered
        self._turned.add(self._told[np.arange(oldest, self._computed) % len(self._told)], oldest)

    def _tuned_at(self, place: Place) -> Floats | None:
        """Both as a line between the same two frames: what the network says of others in between is another thing."""
        if self._turned is None:
            return None
        between = float(place.low + place.part) / STRIDE
        low, newest = int(between), place.newest // STRIDE
        a, b = min(low, newest), min(low + 1, newest)
        part = np.float32(between - low)
        return np.asarray(self._off(a) * (1 - part) + self._off(b) * part, np.float32)

    def _off(self, computed: int) -> Floats:
        """How far tuned weights have it from what the network gave for a computed frame (points, 3)."""
        assert self._turned is not None
        given = self._displacements[computed * STRIDE % len(self._displacements)]
        return np.asarray(self._turned.said(computed) - given, np.float32)

    def openings(self, ns: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """At instants (n,): how far the nearest motions open the lips (n,), mouth widths; how sure speech is (n,)."""
        self._catch_up()
        if self._origin_ns is None or self._outputs <= self._delay:
            return np.zeros(len(ns), np.float32), np.zeros(len(ns), np.float32)
        outputs = np.round((ns - self._origin_ns) / self.hop_ns).astype(np.int64) + self._delay
        places = np.clip(outputs, self._oldest, self._outputs - 1) % len(self._speech)
        lips = self._displacements[places[:, None], PAIRS_AT.T[:, None], 1]
        return np.asarray((lips[1] - lips[0]).mean(-1)), self._speech[places]

    def remembered_from_ns(self) -> int:
        """The oldest instant whose motion is remembered; far in the past before the first sound."""
        if self._origin_ns is None:
            return NEVER_NS
        return self._origin_ns + (self._oldest - self._delay) * self.hop_ns

    def tape_place(self, ns: int) -> float | None:
        """Where ``ns`` is on the tape; None = nowhere."""
        if self._tape is None or (place := self._place(ns)) is None:
            return None
        return float(self._tape.length - self._computed + (place.low + place.part) / STRIDE)

    def _heard(self, frames: Floats, sure: Floats) -> Floats:
        return self._speaker_level(frames, sure)

    def forget_level(self) -> None:
        self._catch_up()
        self._speaker_level.reset()


class _Turned:
    """The same voice through a trunk with a person's weights; as many computed frames are remembered."""

    def __init__(self, trunk: Trunk, length: int) -> None:
        self._trunk, self._stream = trunk, TrunkStream(trunk)
        self._said = np.zeros((length, trunk.shape.components), np.float32)

    def forget(self) -> None:
        self._stream.forget()

    def add(self, told: Floats, first: int) -> None:
        """``told`` (n, inputs) of computed frames from number ``first`` on."""
        if len(told):
            with np.errstate(all="ignore"):  # a bank may come from anybody
                said = np.nan_to_num(self._stream.run(told))
            self._said[(first + np.arange(len(told))) % len(self._said)] = np.clip(said, -MOST_SAID, MOST_SAID)

    def said(self, computed: int) -> Floats:
        """Displacement (points, 3) at a computed frame."""
        coefficients = self._said[computed % len(self._said)]
        return np.asarray((coefficients @ self._trunk.basis).reshape(-1, 3), np.float32)


def trunk_of(bundle: Bundle) -> Trunk | None:
    """What a bundle's net can be tuned by, read once; None where it does not bring that.

    Raises BundleError for what is none.
    """
    spec = bundle.motion
    if spec.trunk is None or not (inputs := told_by(spec)):
        return None
    if bundle not in _trunks:
        try:
            trunk = Trunk.read(bundle.part(spec.trunk))
        except BundleError:
            raise
        except Exception as error:  # of many kinds
            what = f"{spec.name}: {spec.trunk} is no trunk of a net ({error})"
            raise BundleError("damaged bundle", what, "fetch it again") from None
        if trunk.shape.inputs != inputs:
            raise BundleError("damaged bundle", f"{spec.name}: {spec.trunk} is of another net", "fetch it again")
        _trunks[bundle] = trunk
    return _trunks[bundle]


def told_by(spec: MotionSpec) -> int:
    """How many numbers are told of a frame; 0 for a network that tells nothing."""
    return _columns(spec, TOLD, MOST_WIDTH)


def _feature_count(spec: MotionSpec) -> int:
    """0 for a network that tells none."""
    return _columns(spec, FEATURES, MOST_FEATURES)


def _columns(spec: MotionSpec, name: str, most: int) -> int:
    """Of an output with a row for each frame. Raises BundleError where there are more than anybody needs."""
    shape = next((tensor.shape for tensor in spec.outputs if tensor.name == name), (1, None, 0))
    if len(shape) != 3 or shape[:2] != (1, None) or not isinstance(shape[2], int) or shape[2] > most:
        raise BundleError("not a motion bundle", f"{spec.name}: its {name} are no row", "choose another")
    return shape[2]


def _check_names(spec: MotionSpec) -> None:
    shapes = {tensor.name: tensor.shape for tensor in spec.outputs}
    wanted = {"displacement": (1, None, len(spec.points), 3), "speech": (1, None)}
    hears = [(tensor.name, tensor.shape) for tensor in spec.inputs]
    if wanted.items() - shapes.items() or hears != [("mel", (1, None, spec.audio.bands))]:
        raise BundleError("not a motion bundle", spec.name, "choose one that turns mel into displacement")
