"""The bank of a person's own mouths: seen live or enrolled, chosen for variety, bounded, saved without pickles."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import bounding_box
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import mouth_width
from realtime_dub.face.descriptor import LENGTH
from realtime_dub.face.gallery import CAPACITY as GALLERY_CAPACITY
from realtime_dub.face.gallery import Gallery
from realtime_dub.face.landmarks import LIPS, mean, mean_lip_opening
from realtime_dub.face.types import Face, Points, TrackedFrame
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank import bank_shapes
from realtime_dub.mouth.mouthbank.adapter import MOST_ADAPTERS, Adapter, read_adapters
from realtime_dub.mouth.mouthbank.bank_bounds import MOST_FILE, check_archive, packed_picture, plain_picture
from realtime_dub.mouth.mouthbank.cavity import max_lip_opening
from realtime_dub.mouth.mouthbank.looks import ENOUGH, MOST_LOOKS, Looks, face_at_rest
from realtime_dub.mouth.mouthbank.shut import ShutShapes, shut_shape
from realtime_dub.mouth.mouthbank.tuning import MOST_TUNED, Tuned, read_tuned
from realtime_dub.mouth.mouthbank.way import SIZE as WAY_SIZE
from realtime_dub.mouth.mouthbank.way import Line, Way
from realtime_dub.paths import WholeFile, read_plain, reason

Learnt = TypeVar("Learnt")

FORMAT = 1
CAPACITY = 48
MARGIN = 0.35  # mouth widths of skin kept around the lips
MAX_WIDTH_PX = 400  # larger crops are scaled down; beyond it the lips show no more detail
NOVELTY = 0.012  # mean distance of lip points, mouth widths, from which a shape counts as another one
RELEARN_EVERY = 12  # observations between two estimates of the resting face
YAW_LIMIT_DEG = 28.0
CLOSED_SHARE = 0.05  # quantile of the openings at which the lips are as near as this person brings them
WIDE_SHARE = 0.95  # quantile of the openings that says how far the person opens the mouth
LEAST_WIDE = 0.08  # mouth widths; who never opened the mouth farther has not spoken
ENOUGH_SEEN = 200  # looks at a person
MOST_SHARPNESS = 1e7
MOST_CONSENT = 4_000  # bytes


@dataclass(slots=True, eq=False)
class Mouth:
    """One picture of the mouth."""

    image: Image  # (h, w, 3) BGR crop
    lips: npt.NDArray[np.float32]  # (40, 2) where the LIPS points are in the crop, pixels
    shape: npt.NDArray[np.float32]  # (40, 3) canonical lips less the person's lip centre at rest, mouth widths
    angles: npt.NDArray[np.float32]  # (2,) yaw, pitch as direction cosines
    sharpness: float
    max_lip_opening: float  # widest opening of the inner lips, mouth widths


@dataclass(slots=True, eq=False)
class Bank:
    """What is known of one person: whose face it is, at rest, and pictures of the mouth."""

    mouths: list[Mouth] = field(default_factory=list)
    neutral: Points | None = None  # (478, 3) canonical
    closed: Points | None = None  # the same with the lips as near as this person has brought them
    wide: float = 0.0  # how much farther than that the person opens them, mouth widths; 0 = unknown
    way: Way | None = None  # how the lower face looks at each opening; known where ``closed`` is
    frozen: bool = False  # an identity that was loaded is not relearnt
    gallery: Gallery = field(default_factory=Gallery)  # empty = of whoever is seen first
    adapters: dict[str, Adapter] = field(default_factory=dict)  # by net: how this person talks
    tuned: dict[str, Tuned] = field(default_factory=dict)  # by net: what its weights are changed by for that
    consent: bytes = b""  # who confirmed that this face may be dubbed, when: a record that others write and read
    usual: Line | None = None  # how most mouths stand from rest while they talk, where the net says so; is not saved
    _looks: Looks = field(default_factory=Looks)
    shut_of: ShutShapes = field(default_factory=ShutShapes)

    @property
    def shut(self) -> Points | None:
        """The mouth shut (478, 3), canonical, as it is estimated where it was seen open only; else None."""
        nearest = self.neutral if self.closed is None else self.closed
        return None if nearest is None else self.shut_of(nearest, self.speaks)

    @property
    def speaks(self) -> bool:
        """The person was seen to open and shut the mouth."""
        return self.wide > 0

    @property
    def settled(self) -> bool:
        """The resting face and the closed lips are no longer found anew by much."""
        return self.closed is not None and (self.frozen or self._looks.count >= ENOUGH_SEEN)

    @property
    def known(self) -> bool:
        """Somebody was seen."""
        return self.neutral is not None

    @property
    def subject(self) -> bytes:
        """Whom a record of consent is about: the resting face, which a bank that is saved keeps."""
        return b"" if self.neutral is None else np.ascontiguousarray(self.neutral, "<f4").tobytes()

    def keep_adapter(self, net: str, adapter: Adapter) -> None:
        """What was learnt of the person's way of talking with a net; the oldest of too many is dropped."""
        _keep(self.adapters, net, adapter, MOST_ADAPTERS)

    def keep_tuned(self, net: str, tuned: Tuned) -> None:
        """The same of what a net's weights are changed by."""
        _keep(self.tuned, net, tuned, MOST_TUNED)

    def observe(self, tracked: TrackedFrame, with_mouth: bool = True) -> None:
        """Learn from a tracked frame: the resting face, and the mouth where it is new or sharper.

        Without ``with_mouth`` the mouth is not to be seen.
        """
        face = tracked.face
        if face is None or (abs(face.pose.yaw_deg) > YAW_LIMIT_DEG and self.neutral is not None):
            return  # a turned face is better than none, and worse than any other
        if not self.frozen:
            self.learn_face(face.canonical, tracked.frame.pts_ns)
        if with_mouth:
            self._consider(tracked, face)

    def learn_face(self, canonical: Points, at_ns: int) -> None:
        """Where the face rests and how far the mouth goes, from one more look (478, 3), canonical."""
        if not self._looks.add(canonical, at_ns):
            return
        count = self._looks.count
        if self.neutral is None or count <= 2 * RELEARN_EVERY or count % RELEARN_EVERY == 0:
            shapes, talks = self._looks.plain()
            neutral = face_at_rest(shapes, talks, self.usual)
            self._rest_at(neutral)
            if len(shapes) >= ENOUGH:
                self._learn_range(shapes, neutral)

    def copy(self) -> Self:
        """Another bank that knows the same; the pictures, which nobody changes, are shared."""
        adapters = {net: adapter.copy() for net, adapter in self.adapters.items()}
        looks, gallery = self._looks.copy(), self.gallery.copy()
        known = {"gallery": gallery, "adapters": adapters, "tuned": dict(self.tuned), "_looks": looks}
        return replace(self, mouths=list(self.mouths), **known)  # type: ignore[arg-type]

    def save(self, path: Path, plain: bool = False) -> None:
        """Write the bank to ``path``: arrays and PNG pictures in a zip, no pickles; ``plain``: pictures as they are, so
        that no decoder is needed to read them. Raises MediaError.
        """
        if self.neutral is None:
            raise BundleError("cannot save bank", f"{path}: no face was seen")
        arrays: dict[str, npt.NDArray[np.generic]] = {"format": np.array(FORMAT), "neutral": self.neutral}
        if self.closed is not None:
            arrays |= {"closed": self.closed, "wide": np.array([self.wide])}
        if self.way is not None:
            arrays |= {"waysums": self.way.weights, "waymoments": self.way.moments}
        if self.consent:
            arrays["consent"] = np.frombuffer(self.consent, np.uint8)
        if len(self.gallery):
            arrays |= {"faces": self.gallery.descriptors, "views": self.gallery.views}
        for i, mouth in enumerate(self.mouths):
            arrays[f"image{i}"] = mouth.image if plain else np.asarray(cv2.imencode(".png", mouth.image)[1])
            arrays[f"lips{i}"] = mouth.lips
            arrays[f"shape{i}"] = mouth.shape
            arrays[f"angles{i}"] = mouth.angles
            arrays[f"scalars{i}"] = np.array([mouth.sharpness, mouth.max_lip_opening])
        for i, (net, adapter) in enumerate(self.adapters.items()):
            arrays |= {f"{name}{i}": values for name, values in adapter.arrays(net).items()}
        for i, (net, tuned) in enumerate(self.tuned.items()):
            arrays |= {f"{name}{i}": values for name, values in tuned.arrays(net).items()}
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        WholeFile(path).write(packed.getvalue())  # a bank is there whole or not at all

    @classmethod
    def load(cls, path: Path) -> Bank:
        """Read a bank that :meth:`save` wrote. Raises BundleError for anything else."""
        try:
            data = read_plain(path, MOST_FILE)
        except FileNotFoundError:
            raise BundleError(
                "no such bank", str(path), "make one with: realtime-dub enroll VIDEO -o ME.bank"
            ) from None
        except (OSError, ValueError) as error:  # the latter for a name that no file can have
            raise BundleError("cannot read bank", f"{path}: {reason(error)}", "choose the file of a bank") from None
        return cls.read(data, str(path))

    @classmethod
    def read(cls, data: bytes, name: str, plain: bool = False) -> Bank:
        """The same from what is in the file, called ``name`` in messages. ``plain``: no other form is taken."""
        try:
            check_archive(data, plain)
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return cls._of(arrays, plain)
        except Exception as error:
            why, do = _reason(error), "make it again with realtime-dub enroll"
            raise BundleError("cannot read bank", f"{name}: {why}", do) from None

    @classmethod
    def _of(cls, arrays: np.lib.npyio.NpzFile, plain: bool) -> Bank:
        """Raises ValueError, and whatever else what is no bank brings about."""
        if (version := arrays["format"]).shape != () or version != FORMAT:
            raise ValueError("it has another format")
        count = sum(name.startswith("image") for name in arrays.files)
        if count > CAPACITY:
            raise ValueError(f"{count} pictures are more than a bank has")
        mouths = [_read_mouth(arrays, i, plain) for i in range(count)]
        known = "closed" in arrays.files  # banks made before had none
        closed = bank_shapes.face(arrays["closed"]) if known else None
        wide = float(bank_shapes.numbers(arrays["wide"], (1,), bank_shapes.MOST_WIDE)[0]) if known else 0.0
        gallery = _read_gallery(arrays) if "faces" in arrays.files else Gallery()
        neutral = bank_shapes.face(arrays["neutral"])
        way = _read_way(arrays) if "waysums" in arrays.files else None
        consent = _read_consent(arrays) if "consent" in arrays.files else b""
        own = read_adapters(arrays), read_tuned(arrays)
        return cls(mouths, neutral, closed, max(wide, 0.0), way, True, gallery, *own, consent)

    def _rest_at(self, neutral: Points) -> None:
        """The face rests elsewhere than was thought: the mouths lie where they were seen, counted from there."""
        before, self.neutral = self.neutral, neutral
        if before is None or not self.mouths:
            return
        wider = mouth_width(before) / mouth_width(neutral)
        moved = (mean(before[LIPS]) - mean(neutral[LIPS])) / np.float32(mouth_width(neutral))
        self.mouths[:] = [
            replace(each, shape=each.shape * np.float32(wider) + moved, max_lip_opening=each.max_lip_opening * wider)
            for each in self.mouths
        ]

    def _learn_range(self, shapes: npt.NDArray[np.float32], neutral: Points) -> None:
        """How near the lips come and how far they go, in which way, and the resting face with the lips that near."""
        openings, resting = mean_lip_opening(shapes), float(mean_lip_opening(neutral))
        least, widest = np.quantile(openings, (CLOSED_SHARE, WIDE_SHARE))
        wide = float(widest - least) / mouth_width(neutral)
        self.wide, self.way = wide if wide >= LEAST_WIDE else 0.0, Way.of(shapes, neutral)
        opened = shapes[openings >= widest].mean(0) - neutral
        opened_by = float(mean_lip_opening(neutral + opened)) - resting
        shut = max(0.0, resting - float(least)) / opened_by if opened_by > 0 else 0.0
        closed = np.asarray(neutral - np.float32(min(shut, 1.0)) * opened, np.float32)
        if self.closed is None or self._is_shut(closed) or not self._is_shut(self.closed):
            self.closed = closed  # a mouth that was seen shut is remembered through a long laugh

    def _is_shut(self, shape: Points) -> bool:
        return shut_shape(shape, self.speaks) is None

    def _consider(self, tracked: TrackedFrame, face: Face) -> None:
        assert self.neutral is not None
        shape = lip_shape(face.canonical, self.neutral)
        if not self.mouths:
            self._add(tracked, face, shape)
            return
        distance = np.linalg.norm(np.stack([m.shape for m in self.mouths]) - shape, axis=-1).mean(-1)
        nearest = int(distance.argmin())
        if distance[nearest] > NOVELTY:
            self._add(tracked, face, shape)
        elif (sharpness := crop_sharpness(tracked, face)) > 1.15 * self.mouths[nearest].sharpness:
            self.mouths[nearest] = cut_mouth(tracked, face, shape, sharpness)

    def _add(self, tracked: TrackedFrame, face: Face, shape: npt.NDArray[np.float32]) -> None:
        self.mouths.append(cut_mouth(tracked, face, shape, crop_sharpness(tracked, face)))
        if len(self.mouths) > CAPACITY:
            self.mouths.pop(self._most_redundant())

    def _most_redundant(self) -> int:
        """The less sharp of the two mouths that are most alike."""
        flat = np.stack([m.shape for m in self.mouths]).reshape(len(self.mouths), -1).astype(np.float64)
        flat -= flat.mean(0)
        lengths = (flat**2).sum(1)
        distance = lengths[:, None] + lengths - 2 * (flat @ flat.T)
        np.fill_diagonal(distance, np.inf)
        first, second = np.unravel_index(int(distance.argmin()), distance.shape)
        return int(first if self.mouths[int(first)].sharpness < self.mouths[int(second)].sharpness else second)


def _keep(known: dict[str, Learnt], net: str, learnt: Learnt, most: int) -> None:
    if net not in known:
        while len(known) >= most:
            known.pop(next(iter(known)))
    known[net] = learnt


def _read_consent(arrays: np.lib.npyio.NpzFile) -> bytes:
    """Raises ValueError for what is no such record by its size."""
    record = arrays["consent"]
    if record.dtype != np.uint8 or record.ndim != 1 or len(record) > MOST_CONSENT:
        raise ValueError("its record of consent is none")
    return bytes(record.tobytes())


def lip_shape(canonical: Points, neutral: Points) -> npt.NDArray[np.float32]:
    """Lips (40, 3) relative to where this person's mouth rests, in this person's mouth widths."""
    return np.asarray((canonical[LIPS] - mean(neutral[LIPS])) / mouth_width(neutral), np.float32)


def view_angles(face: Face) -> npt.NDArray[np.float32]:
    """Yaw and pitch as direction cosines (2,)."""
    return face.pose.rotation[2, :2].copy()


def mouth_box(face: Face, width: int, height: int) -> tuple[int, int, int, int]:
    """The box of the lips and the skin around them, frame pixels."""
    return bounding_box(face.points[LIPS].astype(np.float64), MARGIN * face.pose.scale, width, height)


def crop_sharpness(tracked: TrackedFrame, face: Face) -> float:
    """Energy of the second derivative in the mouth's box, independent of the picture's size."""
    x, y, w, h = mouth_box(face, tracked.frame.width, tracked.frame.height)
    if w < 4 or h < 4:
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(tracked.frame.image[y : y + h, x : x + w]), cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(cv2.resize(grey, (64, 48), interpolation=cv2.INTER_AREA), cv2.CV_32F).var())


def cut_mouth(tracked: TrackedFrame, face: Face, shape: npt.NDArray[np.float32], sharpness: float) -> Mouth:
    """The mouth of a frame, copied out."""
    x, y, w, h = mouth_box(face, tracked.frame.width, tracked.frame.height)
    image = tracked.frame.image[y : y + h, x : x + w].copy()
    lips = face.points[LIPS, :2] - np.array([x, y], np.float32)
    if w > MAX_WIDTH_PX:
        factor = MAX_WIDTH_PX / w
        image = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        lips = (lips + 0.5) * np.float32(factor) - 0.5
    return Mouth(image, lips.astype(np.float32), shape, view_angles(face), sharpness, max_lip_opening(shape))


def _read_mouth(arrays: np.lib.npyio.NpzFile, i: int, plain: bool) -> Mouth:
    image = (plain_picture if plain else packed_picture)(arrays[f"image{i}"], MAX_WIDTH_PX, 2 * MAX_WIDTH_PX)
    sharpness = float(bank_shapes.numbers(arrays[f"scalars{i}"], (2,), MOST_SHARPNESS)[0])
    shape, angles = bank_shapes.lip_shape(arrays[f"shape{i}"]), bank_shapes.directions(arrays[f"angles{i}"], (2,))
    return Mouth(image, bank_shapes.lips(arrays[f"lips{i}"], image), shape, angles, sharpness, max_lip_opening(shape))


def _read_gallery(arrays: np.lib.npyio.NpzFile) -> Gallery:
    count = min(len(arrays["faces"]), GALLERY_CAPACITY)
    views = bank_shapes.directions(arrays["views"][:count], (count, 2))
    return Gallery(bank_shapes.numbers(arrays["faces"][:count], (count, LENGTH), bank_shapes.MOST_DESCRIPTOR), views)


def _read_way(arrays: np.lib.npyio.NpzFile) -> Way:
    most = bank_shapes.MOST_SHAPE * MOST_LOOKS
    weights = bank_shapes.numbers(arrays["waysums"], (2, 2), most**2)
    return Way.checked(weights, bank_shapes.numbers(arrays["waymoments"], (2, WAY_SIZE), most**2))


def _reason(error: Exception) -> str:
    return str(error) if type(error) is ValueError else f"it is not a bank ({type(error).__name__})"
