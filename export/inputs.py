"""What networks are shown to compare them: recorded voice and pictures, noise, and nothing at all."""

from __future__ import annotations

import functools
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from realtime_dub.audio.frontends import AudioSpec, open_front_end
from realtime_dub.inference.spec import BundleSpec, HearingSpec, TensorSpec
from realtime_dub.sources.demo import read_portrait
from realtime_dub.sources.demo_voice import ASSET

Feeds = dict[str, npt.NDArray[Any]]
HOPS = 4  # of a call: a frame of 25 per second
SEED = 0
_AUDIO: TypeAdapter[Any] = TypeAdapter(AudioSpec)


class Case(NamedTuple):
    """Calls one after another, of one stream."""

    name: str
    calls: list[Feeds]


def cases(spec: BundleSpec, calls: int, batch: int = 1) -> list[Case]:
    """Of so many calls each. Inputs that are no states; states are the streams' own."""
    return [
        Case("recorded", [_recorded(spec, batch, at) for at in range(calls)]),
        Case("random", [_random(spec, batch, at) for at in range(calls)]),
        Case("silence", [_silent(spec, batch, at) for at in range(min(calls, 50))]),
    ]


def hops(spec: BundleSpec) -> int:
    """Length of a call on the axis "time"; 1 where there is none."""
    open_axes = [size for tensor in spec.inputs for size in tensor.shape if size in (None, "time")]
    return HOPS if open_axes else 1


def _recorded(spec: BundleSpec, batch: int, at: int) -> Feeds:
    feeds = {}
    for tensor in spec.inputs:
        shape = _shape(tensor, batch)
        if isinstance(spec, HearingSpec) and len(shape) == 3 and shape[2] == spec.audio.features:
            feeds[tensor.name] = _voice(spec, at, shape)
        elif len(shape) == 4:
            feeds[tensor.name] = _picture(shape, at)
        else:
            feeds[tensor.name] = _noise(tensor, shape, at)
    return feeds


def _random(spec: BundleSpec, batch: int, at: int) -> Feeds:
    return {tensor.name: _noise(tensor, _shape(tensor, batch), at) for tensor in spec.inputs}


def _silent(spec: BundleSpec, batch: int, at: int) -> Feeds:
    """No voice, and black pictures. Where something is in them is told as ever: nothing has no width."""
    feeds = {}
    for tensor in spec.inputs:
        shape = _shape(tensor, batch)
        seen = len(shape) == 4 or isinstance(spec, HearingSpec)
        feeds[tensor.name] = np.zeros(shape, np.float32) if seen else _noise(tensor, shape, at)
    return feeds


def _noise(tensor: TensorSpec, shape: tuple[int, ...], at: int) -> npt.NDArray[np.float32]:
    """Features of spread 1; pictures, which have four axes, in 0..1."""
    rng = np.random.default_rng([SEED, at, len(tensor.name)])
    drawn = rng.random(shape) if len(shape) == 4 else rng.standard_normal(shape)
    return drawn.astype(np.float32)


def _voice(spec: HearingSpec, at: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The features of the built-in voice, over and over; each stream of a batch hears another part of it."""
    features, (batch, length, _) = _features(spec.audio.model_dump_json()), shape
    rows = (np.arange(length) + at * length + np.arange(batch)[:, None] * 97) % len(features)
    return features[rows]


@functools.cache
def _features(audio: str) -> npt.NDArray[np.float32]:
    """Of the built-in voice (n, features); ``audio``: the spec of the front end, as JSON."""
    spec = _AUDIO.validate_json(audio)
    front_end = open_front_end(spec)
    return np.concatenate([front_end.process(demo_voice(spec.rate)), front_end.finish()])


@functools.cache
def demo_voice(rate: int) -> npt.NDArray[np.float32]:
    """The built-in voice (n,) at ``rate``."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    with as_file(files("realtime_dub") / "assets" / ASSET) as path, av.open(str(path)) as container:
        parts = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    parts += resampler.resample(None)
    return np.concatenate([part.to_ndarray()[0] for part in parts])


def _picture(shape: tuple[int, ...], at: int) -> npt.NDArray[np.float32]:
    """Parts of the built-in portrait, BGR in 0..1, where channels lie; other numbers of channels get its brightness."""
    batch, channels, height, width = shape
    return np.stack([_part(at + 31 * place, channels, height, width) for place in range(batch)])


def _part(at: int, channels: int, height: int, width: int) -> npt.NDArray[np.float32]:
    portrait = read_portrait()
    rng = np.random.default_rng([SEED, at])
    side = int(rng.integers(100, 300))
    top, left = (int(rng.integers(0, size - side)) for size in portrait.shape[:2])
    part = cv2.resize(portrait[top : top + side, left : left + side], (width, height), interpolation=cv2.INTER_AREA)
    planes = np.moveaxis(part.astype(np.float32) / 255, 2, 0)
    return planes if channels == 3 else np.repeat(planes.mean(0, keepdims=True), channels, 0)


def _shape(tensor: TensorSpec, batch: int) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else batch if size == "batch" else HOPS for size in tensor.shape)
