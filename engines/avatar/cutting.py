"""One pass over a recording: the square's pictures, what of each is the person, and where shoulders and hips are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from engines.avatar.stored import coded_matte, coded_picture, store, write_arrays
from engines.common import Array
from engines.common.dataset import Dataset, Entry
from engines.common.rates import STEADY_FPS
from realtime_dub.clock import VirtualClock
from realtime_dub.face.person_models import Joints, Matter
from realtime_dub.media import MS, NS, Frame, Image
from realtime_dub.mouth.avatar.body import POINTS
from realtime_dub.mouth.avatar.folder import About
from realtime_dub.sources.base import read_all
from realtime_dub.sources.registry import open_video

PICTURES, MATTE, JOINTS = "pictures", "matte", "joints"  # kinds of what is kept of a track
PERIOD_NS = NS // STEADY_FPS
EVERY = 5  # pictures between two looks for joints
HANDS_SURE = 0.6


@dataclass(eq=False)
class Cut:
    """What is gathered of one track. Numbers are those of its pictures, at 25 a second."""

    numbers: list[int] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)  # JPEG
    mattes: list[bytes] = field(default_factory=list)  # PNG, grey
    seen: list[int] = field(default_factory=list)  # numbers at which joints were looked for
    joints: list[Array] = field(default_factory=list)  # (POINTS, 3): x and y in pixels of the recording, sureness
    hands: list[bool] = field(default_factory=list)  # a hand is in the picture


def cut_pictures(video: Path, data: Path, starts_ms: Mapping[str, int], about: About) -> None:
    """Write ``pictures/``, ``matte/`` and ``joints/`` of each track that has none yet."""
    entries = [entry for entry in Dataset(data).entries if not joints_path(data, entry.track).exists()]
    if not entries:
        return
    matter, joints = Matter(), Joints()
    gathered: dict[str, Cut] = {}
    try:
        for entry, number, frame in _numbered(video, entries, starts_ms):
            for done in [name for name in gathered if name != entry.track]:
                _save(data, done, gathered.pop(done))
            _look(gathered.setdefault(entry.track, Cut()), number, frame, about, matter, joints)
        for name, cut in gathered.items():
            _save(data, name, cut)
    finally:
        matter.close()
        joints.close()


def joints_path(data: Path, track: str) -> Path:
    """What is written last of a track."""
    return data / JOINTS / f"{track}.npz"


def _numbered(video: Path, entries: list[Entry], starts_ms: Mapping[str, int]) -> Iterator[tuple[Entry, int, Frame]]:
    """The frames that are a picture of a track, or within a quarter of a period of one, each once."""
    source = open_video(str(video), clock=VirtualClock(), live=False)
    source.open()
    last = -1
    order = sorted(entries, key=lambda entry: starts_ms[entry.track])
    try:
        for frame in read_all(source.read):
            while order and frame.pts_ns > starts_ms[order[0].track] * MS + order[0].frames * PERIOD_NS:
                order.pop(0)
                last = -1
            if not order:
                return
            k, off_ns = divmod(frame.pts_ns - starts_ms[order[0].track] * MS + PERIOD_NS // 2, PERIOD_NS)
            if last < k < order[0].frames and abs(off_ns - PERIOD_NS // 2) <= PERIOD_NS // 4:
                last = k
                yield order[0], k, frame
    finally:
        source.close()


def _look(cut: Cut, number: int, frame: Frame, about: About, matter: Matter, joints: Joints) -> None:
    cut.numbers.append(number)
    cut.pictures.append(coded_picture(taken(frame.image, about)))
    matte = np.rint(matter.find(frame.image) * 255).astype(np.uint8)
    cut.mattes.append(coded_matte(taken(matte, about)))
    if number % EVERY == 0 and (figure := joints.find(frame.image)) is not None:
        cut.seen.append(number)
        cut.joints.append(np.concatenate([figure.body, figure.body_sure[:, None]], 1))
        inside = (figure.hands >= 0).all(1) & (figure.hands < frame.image.shape[1::-1]).all(1)
        cut.hands.append(bool((inside & (figure.hands_sure > HANDS_SURE)).any()))


def taken(image: Image, about: About) -> Image:
    """The square of a frame or of its matte, as large as it is kept."""
    x, y, side = about.square
    part = image[y : y + side, x : x + side]
    if side == about.stored:
        return np.ascontiguousarray(part)
    return np.asarray(cv2.resize(part, (about.stored, about.stored), interpolation=cv2.INTER_AREA), np.uint8)


def _save(data: Path, track: str, cut: Cut) -> None:
    """Joints last: a track that has them is done."""
    numbers = np.array(cut.numbers, np.int32)
    for kind, coded in ((PICTURES, cut.pictures), (MATTE, cut.mattes)):
        store(data, kind, track, coded, numbers)
    joints = np.array(cut.joints, np.float32).reshape(-1, POINTS, 3)
    seen, hands = np.array(cut.seen, np.int32), np.array(cut.hands, bool)
    write_arrays(joints_path(data, track), numbers=seen, joints=joints, hands=hands)
