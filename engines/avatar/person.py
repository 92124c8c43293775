"""How a person holds head and body, out of a recording: what an avatar needs beside its networks."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np

from engines.avatar.cutting import MATTE, PICTURES, joints_path
from engines.avatar.stored import Stored
from engines.common import Array
from engines.common.dataset import Dataset, Entry, Track
from engines.common.prepare.clip import write_whole
from realtime_dub.face.alignment import LOWER, TEMPLATE, neutral_shape
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.face.types import Pose
from realtime_dub.media import Image
from realtime_dub.mouth.avatar.body import FEATURES, POINTS, Body, features
from realtime_dub.mouth.avatar.edges import drawn
from realtime_dub.mouth.avatar.folder import PERSON, PLATE, About
from realtime_dub.sources.avatars import REST

SHOULDERS = "shoulders.npz"
RIDGE = 1.0  # of features with a spread of one
LEAST_JOINTS = 20  # looks at which shoulders were seen: fewer fit nothing
PLATE_PICTURES = 150
BEHIND = 10  # levels of the matte: a pixel below is no person
MOST_STRETCH = 1_500  # frames of head motion that are kept
JUMP = 0.04  # of a mouth's width from frame to frame: a cut
EASE = 25  # frames over which a cut's jump is spread
EYES_OPEN = (159, 145, 386, 374)  # lids, upper and lower, left and right


def write_person(folder: Path, dataset: Dataset, about: About) -> None:
    """Write ``person.npz``, ``plate.png``, ``rest.png``, ``data/shoulders.npz`` and the picture that tests it."""
    data = dataset.roots[0]
    tracks = {entry.track: dataset.load(entry) for entry in dataset.entries}
    neutral = neutral_shape(np.concatenate([track.canonical[track.seen][::5] for track in tracks.values()]))
    heads, places = joints_of(data, tracks)
    body, off = fitted(heads, places, about)
    _write(data / SHOULDERS, heads=heads, places=places, off_px=np.array(off), **_as_arrays(body))
    arrays = {"neutral": neutral, **_as_arrays(body), **stretch(list(tracks.values()), neutral)}
    _write(folder / PERSON, **{name: each.astype(np.float32) for name, each in arrays.items()})
    _png(folder / PLATE, plate(data, dataset.entries))
    best, number = resting(tracks, neutral, data)
    _png(folder / REST, Stored(data, PICTURES, best).read(number))
    _png(folder / "pictures" / "shoulders.png", shoulders_picture(data, tracks, body, about))


def joints_of(data: Path, tracks: dict[str, Track]) -> tuple[Array, Array]:
    """Of each look at the joints the head's features (n, FEATURES), and what was found (n, POINTS, 3)."""
    heads, places = [np.zeros((0, FEATURES), np.float32)], [np.zeros((0, POINTS, 3), np.float32)]
    for name, track in tracks.items():
        with np.load(joints_path(data, name), allow_pickle=False) as stored:
            numbers, joints = stored["numbers"], stored["joints"]
        if len(numbers):
            heads.append(np.stack([features(pose_of(track, number)) for number in numbers]))
            places.append(joints)
    return np.concatenate(heads), np.concatenate(places)


def pose_of(track: Track, number: int) -> Pose:
    return Pose(track.rotation[number], float(track.scale[number]), track.shift[number])


def fitted(heads: Array, places: Array, about: About) -> tuple[Body, float]:
    """The regression from head to joints, and how far it is off on the last fifth, which it did not see, pixels.

    Where too few joints were seen, the body is the template's, below the head in the middle.
    """
    if len(heads) < LEAST_JOINTS:
        return _without(about), float("nan")
    held = max(1, len(heads) // 5)
    trial = _ridge(heads[:-held], places[:-held])
    found = np.stack([(head - trial.mean) @ trial.weights + trial.middle for head in heads[-held:]])
    wrong = (found.reshape(-1, POINTS, 2) - places[-held:, :, :2])[:, :2]
    return _ridge(heads, places), float(np.sqrt((wrong**2).sum(-1)).mean())


def _ridge(heads: Array, places: Array) -> Body:
    mean, spread = heads.mean(0), np.maximum(heads.std(0), 1e-3 * np.maximum(1, np.abs(heads.mean(0))))
    x, y = (heads - mean) / spread, places[..., :2].reshape(len(places), -1)
    middle = y.mean(0)
    weights = np.linalg.solve(x.T @ x + RIDGE * len(x) / 100 * np.eye(FEATURES), x.T @ (y - middle))
    return Body(mean.astype(np.float32), (weights / spread[:, None]).astype(np.float32), middle.astype(np.float32))


def _without(about: About) -> Body:
    x, y, side = about.square
    at = [(x + 0.1 * side, y + side), (x + 0.9 * side, y + side), (x + 0.1 * side, y + 2 * side)]
    at.append((x + 0.9 * side, y + 2 * side))
    middle = np.array(at, np.float32).reshape(-1)
    return Body(np.zeros(FEATURES, np.float32), np.zeros((FEATURES, 2 * POINTS), np.float32), middle)


def _as_arrays(body: Body) -> dict[str, Array]:
    return {"body_mean": body.mean, "body_weights": body.weights, "body_middle": body.middle}


def stretch(tracks: list[Track], neutral: Array) -> dict[str, Array]:
    """The longest stretch of head motion: poses, and how the upper face differs from its rest (n, 478, 3)."""
    track = max(tracks, key=lambda each: len(each.scale))
    count = min(MOST_STRETCH, len(track.scale))
    turns = np.stack([cv2.Rodrigues(each.astype(np.float64))[0][:, 0] for each in track.rotation[:count]])
    moved = np.concatenate([turns, np.log(track.scale[:count, None]), track.shift[:count]], 1)
    upper = track.canonical[:count] - neutral
    upper[:, LOWER] = 0
    moved, upper = eased(moved, track), eased_by(upper, jumps(track)[:count])
    rotation = np.stack([cv2.Rodrigues(each)[0] for each in moved[:, :3]])
    return {"rotation": rotation, "scale": np.exp(moved[:, 3]), "shift": moved[:, 4:], "upper": upper}


def jumps(track: Track) -> Array:
    """Where a cut is (T,): the head moves from the frame before to this one as no head does."""
    step = np.abs(np.diff(track.shift[:, :2], axis=0)).max(1) / track.scale[1:]
    return np.concatenate([[False], step > JUMP])


def eased(moved: Array, track: Track) -> Array:
    return eased_by(moved, jumps(track)[: len(moved)])


def eased_by(moved: Array, cuts: Array) -> Array:
    """Motion (n, ...) whose jumps are spread over the second that follows each."""
    out = np.array(moved, np.float64)
    for at in np.flatnonzero(cuts):
        gap = out[at] - out[at - 1]
        share = np.clip(1 - (np.arange(len(out) - at) + 1) / EASE, 0, 1)
        out[at:] -= share.reshape(-1, *[1] * (out.ndim - 1)) * gap
    return out


def plate(data: Path, entries: list[Entry]) -> Image:
    """What is behind the person: the median of the pixels that are no person; what never is seen is filled in."""
    each = max(1, PLATE_PICTURES // len(entries))
    seen, free = [], []
    for entry in entries:
        pictures, mattes = (Stored(data, kind, entry.track) for kind in (PICTURES, MATTE))
        for row in np.unique(np.linspace(0, len(pictures) - 1, each).astype(int)):
            seen.append(pictures.read(row))
            free.append(mattes.read(row) < BEHIND)
    shown, hidden = np.stack(seen).astype(np.float32), ~np.stack(free)
    shown[hidden] = np.nan
    never = hidden.all(0)
    shown[:, never] = 0
    middle = np.rint(np.nanmedian(shown, axis=0)).astype(np.uint8)
    small = cv2.inpaint(middle, never.astype(np.uint8), 3, cv2.INPAINT_TELEA) if never.any() else middle
    return np.asarray(small, np.uint8)


def resting(tracks: dict[str, Track], neutral: Array, data: Path) -> tuple[str, int]:
    """The picture that is nearest to rest: mouth shut, eyes open, head as usual; its track and its row there."""
    best = (np.inf, "", 0)
    usual = np.median(np.concatenate([each.shift for each in tracks.values()]), axis=0)
    for name, track in tracks.items():
        numbers = Stored(data, PICTURES, name).numbers
        shapes = track.canonical[numbers]
        away = np.abs(shapes[:, LOWER] - neutral[LOWER]).mean((1, 2)) + mean_lip_opening(shapes)
        away += np.abs(track.shift[numbers] - usual).sum(1) / track.scale[numbers]
        away += np.clip(_lids(TEMPLATE[None]) - _lids(shapes), 0, None)
        row = int(np.where(track.seen[numbers], away, np.inf).argmin())
        best = min(best, (float(away[row]), name, row))
    return best[1], best[2]


def _lids(shapes: Array) -> Array:
    upper, lower, other, beneath = EYES_OPEN
    return (shapes[:, lower, 1] - shapes[:, upper, 1] + shapes[:, beneath, 1] - shapes[:, other, 1]) / 2


def shoulders_picture(data: Path, tracks: dict[str, Track], body: Body, about: About, columns: int = 4) -> Image:
    """The regression's test: pictures with what it predicts as lines, and what was found as dots."""
    tiles = []
    for name in list(tracks)[:: max(1, len(tracks) // columns)][:columns]:
        track, pictures = tracks[name], Stored(data, PICTURES, name)
        row = len(pictures) // 2
        pose = pose_of(track, int(pictures.numbers[row]))
        square, size = about.shown, about.stored
        face = square.places(track.landmarks()[pictures.numbers[row]], size)
        lines = drawn(face, square.places(body.places(pose), size), size)
        tile = cv2.addWeighted(pictures.read(row), 0.6, lines, 0.8, 0)
        for x, y in square.places(_found(data, name, int(pictures.numbers[row])), size):
            cv2.circle(tile, (int(np.clip(x, 0, size - 1)), int(np.clip(y, 0, size - 1))), 4, (255, 255, 255), -1)
        tiles.append(tile)
    return np.concatenate(tiles, 1)


def _found(data: Path, track: str, number: int) -> Array:
    """The shoulders that were found nearest to a picture (n, 2), none where there are none."""
    with np.load(joints_path(data, track), allow_pickle=False) as stored:
        if not len(stored["numbers"]):
            return np.zeros((0, 2), np.float32)
        return np.asarray(stored["joints"][np.abs(stored["numbers"] - number).argmin(), :2, :2])


def _png(path: Path, image: Array) -> None:
    write_whole(path, cv2.imencode(".png", image)[1].tobytes())


def _write(path: Path, **arrays: Array) -> None:
    stored = io.BytesIO()
    np.savez_compressed(stored, **arrays)
    write_whole(path, stored.getvalue())
