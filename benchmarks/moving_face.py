"""The built-in portrait as a person before a camera: the head shifts, turns and nods, and the jaw goes as in speech.

The face is found once; each frame bends the portrait from there to the pose and the lips of its instant. Every wave
has a whole number of periods in ``LOOP_S`` seconds: a film of that length goes on without a seam.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.media import frames
from realtime_dub.blend.warp import ThinPlate, identity_map
from realtime_dub.face.alignment import LOWER, TEMPLATE, project
from realtime_dub.face.landmarks import CHIN, LIPS, LIPS_INNER, LIPS_OUTER
from realtime_dub.face.types import Face, Points, Pose
from realtime_dub.media import (
    AudioBlock,
    Floats,
    Frame,
    Image,
    OutputFormat,
    Tick,
    ns_to_samples,
    samples_to_ns,
    ticks_to_ns,
)
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.publishers.registry import open_publisher

SIZES = {"480p": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080), "2160p": (3840, 2160)}
LOOP_S = 4
YAW_DEG, PITCH_DEG, ROLL_DEG = 7.0, 4.0, 2.5
SHIFT = 0.25  # mouth widths
OPEN = 0.12  # mouth widths
STEP = 0.25  # of the coarse grid, mouth widths
_NO_MAP = np.empty(0, np.float32)
_MOVED = np.concatenate([LIPS, np.arange(0, 468, 8)])


def size_of(name: str) -> tuple[int, int]:
    """Width and height of ``name`` such as 720p. Raises ValueError."""
    if name not in SIZES:
        raise ValueError(f"{name} is none of {', '.join(SIZES)}")
    return SIZES[name]


def sizes(text: str) -> list[str]:
    """Several of SIZES, as an argument gives them."""
    for name in (names := text.split(",")):
        size_of(name)
    return names


class MovingFace:
    """The moving portrait at one size. Each frame depends on its number alone."""

    def __init__(self, width: int, height: int, fps: int) -> None:
        self.width, self.height, self.fps = width, height, fps
        self._image = next(frames("demo", width, height, fps)).image
        self._face = _scaled(_found(), width, height)

    def __iter__(self) -> Iterator[Frame]:
        """Without end."""
        seq = 0
        while True:
            yield self.frame(seq)
            seq += 1

    def frame(self, seq: int) -> Frame:
        period = Fraction(1, self.fps)
        pts_ns = ticks_to_ns(seq, period)
        return Frame(self.image(seq / self.fps), pts_ns, seq, ticks_to_ns(seq + 1, period) - pts_ns)

    def image(self, t: float) -> Image:
        """The picture at ``t`` seconds."""
        goal = project(spoken(self._face.canonical, t), _moved(self._face.pose, t))
        whole = (0, 0, self.width, self.height)
        unit = self._face.pose.scale
        still = _rim(self.width, self.height)
        target = np.concatenate([goal[_MOVED, :2], still])
        source = np.concatenate([self._face.points[_MOVED, :2], still])
        field = ThinPlate(target, source, unit).field(whole, unit * STEP)
        return np.asarray(
            cv2.remap(
                self._image, identity_map(whole) + field, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            ),
            np.uint8,
        )


def film(path: Path, width: int, height: int, fps: int, seconds: float = LOOP_S, sound: Floats | None = None) -> Path:
    """The moving face as a file; ``sound`` (n,) at 16 kHz is repeated all through it."""
    publisher = open_publisher(str(path), preset="superfast", crf=16)  # one that somebody may have, not one of ours
    rate, channels = (0, 0) if sound is None else (VOICE_RATE, 1)
    publisher.open(OutputFormat(width, height, Fraction(fps), rate, channels, live=False))
    try:
        face = MovingFace(width, height, fps)
        for seq in range(round(seconds * fps)):
            frame = face.frame(seq)
            audio = None if sound is None else sound_under(frame, sound)
            publisher.publish(Tick(frame.image, frame.pts_ns, frame.duration_ns, seq, audio))
    finally:
        publisher.close()
    return path


def long_film(path: Path, width: int, height: int, fps: int, seconds: float, sound: Floats) -> Path:
    """As :func:`film`, of any length: one loop is encoded, and its packets come again and again."""
    once = film(path.with_name(f"once-{path.name}"), width, height, fps)
    packets = _packets(once)
    last = packets[-1]
    loop = (last.pts or 0) + (last.duration or 0)
    with av.open(str(once)) as template, av.open(str(path), "w") as out:
        picture = out.add_stream_from_template(template.streams.video[0])
        voice: Any = out.add_stream("aac", VOICE_RATE, layout="mono")
        for at in range(math.ceil(seconds / LOOP_S)):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = ((each or 0) + at * loop for each in (packet.pts, packet.dts))
                again.duration, again.time_base, again.is_keyframe = (
                    packet.duration,
                    packet.time_base,
                    packet.is_keyframe,
                )
                again.stream = picture
                out.mux(again)
            out.mux(voice.encode(_sound_of(at, sound)))
        out.mux(voice.encode(None))
    once.unlink()
    return path


def _packets(path: Path) -> list[Any]:
    with av.open(str(path)) as source:
        return [packet for packet in source.demux(source.streams.video[0]) if packet.size]


def _sound_of(loop: int, sound: Floats) -> av.AudioFrame:
    """What is heard in that repetition."""
    count = LOOP_S * VOICE_RATE
    at = np.arange(loop * count, (loop + 1) * count) % len(sound)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None, at]), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = VOICE_RATE, loop * count, Fraction(1, VOICE_RATE)
    return frame


def sound_under(frame: Frame, sound: Floats) -> AudioBlock:
    """The samples that belong to a frame, of ``sound`` without end."""
    first = ns_to_samples(frame.pts_ns, VOICE_RATE)
    last = ns_to_samples(frame.pts_ns + frame.duration_ns, VOICE_RATE)
    at = np.arange(first, last) % len(sound)
    return AudioBlock(sound[at, None], VOICE_RATE, samples_to_ns(first, VOICE_RATE))


def spoken(canonical: Points, t: float) -> Points:
    """The face (478, 3), canonical, with the jaw where it is ``t`` seconds into a made-up sentence."""
    amount = OPEN * max(0.0, 0.4 + 0.6 * _wave(t, 8) * _wave(t, 3, 0.1))
    across = np.clip(1 - (2 * TEMPLATE[LOWER, 0]) ** 2, 0, 1)
    upper = np.isin(LOWER, np.concatenate([LIPS_OUTER[1:10], LIPS_INNER[1:10]]))
    below = (TEMPLATE[LOWER, 1] > TEMPLATE[LIPS_INNER[5], 1]) & ~upper
    shape = canonical.copy()
    shape[LOWER[below], 1] += np.float32(amount) * across[below].astype(np.float32)
    shape[CHIN, 1] = canonical[CHIN, 1] + np.float32(amount)
    return shape


def _moved(pose: Pose, t: float) -> Pose:
    yaw, pitch, roll = (
        math.radians(degrees * _wave(t, times, phase))
        for degrees, times, phase in ((YAW_DEG, 1, 0.0), (PITCH_DEG, 2, 0.3), (ROLL_DEG, 1, 0.6))
    )
    turn = _rotation(1, yaw) @ _rotation(0, pitch) @ _rotation(2, roll)
    away = pose.scale * SHIFT * np.array([_wave(t, 1, 0.2), 0.5 * _wave(t, 3, 0.8), 0], np.float32)
    return Pose((turn @ pose.rotation).astype(np.float32), pose.scale, (pose.shift + away).astype(np.float32))


def _rotation(axis: int, angle: float) -> npt.NDArray[np.float64]:
    turn = np.zeros(3)
    turn[axis] = angle
    return np.asarray(cv2.Rodrigues(turn)[0], np.float64)


def _wave(t: float, times: int, phase: float = 0.0) -> float:
    """A sine with ``times`` periods in a loop."""
    return math.sin(2 * math.pi * (times * t / LOOP_S + phase))


def _rim(width: int, height: int) -> npt.NDArray[np.float64]:
    """Points of the picture's border, which stay."""
    across, down = np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5)
    sides = [(x, y) for x in across for y in (0, height - 1)] + [(x, y) for x in (0, width - 1) for y in down[1:-1]]
    return np.array(sides, np.float64)


@cache
def _found() -> Face:
    """The portrait's face at 480p."""
    from realtime_dub.face.tracker import MediaPipeTracker  # not loaded by whoever only names sizes

    tracker = MediaPipeTracker(smooth=False)
    try:
        frame = next(frames("demo", *SIZES["480p"]))
        found = [tracker.track(frame).face for _ in range(3)][-1]
    finally:
        tracker.close()
    if found is None:
        raise SystemExit("no face in the built-in portrait")
    return found


def _scaled(face: Face, width: int, height: int) -> Face:
    """The face as it lies in the same view at another size: the middle stays, pixel centres are at halves."""
    base_width, base_height = SIZES["480p"]
    scale = height / base_height
    shift = np.array([(width - base_width * scale) / 2 + (scale - 1) / 2, (scale - 1) / 2, 0], np.float32)
    points = (face.points * np.float32(scale) + shift).astype(np.float32)
    pose = Pose(face.pose.rotation, face.pose.scale * scale, (face.pose.shift * np.float32(scale) + shift))
    return Face(points, face.canonical, pose)
