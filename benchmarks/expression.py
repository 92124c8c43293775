"""Whether a face keeps its expression under another voice: `python -m benchmarks.expression --data data/grid/people`.

Few people smile in GRID. So each clip is bent first: an expression comes, stays and goes while the person speaks, and
the clip is dubbed with the voice of the speaker's next clip. The lips are found again in both films, and in the frames
that were dubbed compared with the source's slow part: ``r height``, ``r width`` of the corners (``r tilt`` of one
against the other), how much of the height is left (``size``), and by how many milliseconds it comes late. ``leak`` is
what of the source's own words is seen: the partial correlation of the opening with the source's, the true one of the
voice's film taken out; ``quick`` that of the corners' quick movement with the unbent clip's. ``--before`` keeps
nothing, as a bar. ``none`` is the clip as it is.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from benchmarks.capture import captured
from benchmarks.hard_faces import write_lossless
from benchmarks.media import frames, voice
from benchmarks.output import Stopwatch, last_line, show
from benchmarks.rendered import UNSPOILT, Look, changed
from engines.common import Array
from engines.common import video_metrics as metrics
from engines.common.people import speaker_of
from engines.common.rates import STEADY_FPS, steady_ns
from realtime_dub.blend.warp import ThinPlate, identity_map
from realtime_dub.config import FileConfig, build
from realtime_dub.face.alignment import LOWER, TEMPLATE, project
from realtime_dub.face.landmarks import CORNERS, LIPS, LIPS_INNER, LIPS_OUTER
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import Face, Points, TrackedFrame
from realtime_dub.media import Frame, Image
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.expression import Expression
from realtime_dub.mouth.mouthbank.render import UNMOVED
from realtime_dub.pipeline.file.run import run_file

Kept = Callable[[Expression, TrackedFrame, Bank], Points]

BEGINS_S, COME_S, GOES_S = 0.6, 0.5, 2.0  # after the start; how long it comes, and goes; when it goes
SLOW_S = 0.25  # sigma of what counts as slow
MOST_LAG = 12  # frames
REACH = 0.35  # mouth widths: sigma of the skin that goes with a corner
FRAME_MS = 1000 / STEADY_FPS


def _corners(left_up: float, right_up: float, out: float) -> Points:
    """Corners that go up and outwards, mouth widths, and the skin around them."""
    moved = np.zeros_like(TEMPLATE)
    for corner, side, up in ((CORNERS[0], -1, left_up), (CORNERS[1], 1, right_up)):
        near = np.exp(-0.5 * (np.linalg.norm((TEMPLATE - TEMPLATE[corner])[:, :2], axis=1) / REACH) ** 2)
        moved[:, 0] += side * out * near * (up != 0)
        moved[:, 1] -= up * near
    return moved


def _pursed() -> Points:
    """Lips narrower, thicker and put forward."""
    moved = np.zeros_like(TEMPLATE)
    middle = TEMPLATE[LIPS].mean(0)
    near = np.exp(-0.5 * (np.linalg.norm((TEMPLATE - middle)[:, :2], axis=1) / 0.5) ** 2)
    moved[:, 0] -= 0.3 * near * (TEMPLATE - middle)[:, 0]
    moved[:, 2] -= 0.1 * near
    return moved


def _pressed() -> Points:
    """Half of the red of each lip."""
    moved = np.zeros_like(TEMPLATE)
    moved[LIPS_OUTER, 1] = 0.5 * (TEMPLATE[LIPS_INNER] - TEMPLATE[LIPS_OUTER])[:, 1]
    return moved


EXPRESSIONS: dict[str, Points] = {
    "none": np.zeros_like(TEMPLATE),
    "smile": _corners(0.13, 0.13, 0.10),
    "slight smile": _corners(0.07, 0.07, 0.05),
    "one corner": _corners(0.0, 0.12, 0.06),
    "pursed": _pursed(),
    "pressed": _pressed(),
}
_HELD = np.concatenate([np.flatnonzero(TEMPLATE[:468, 1] < 0.6)[::6], [4, 5, 6, 168, 2, 98, 327]])
_MOVED = np.concatenate([LIPS, LOWER[~np.isin(LOWER, LIPS)][::3]])


def share_at(second: float) -> float:
    """How much of the expression there is, 0..1."""
    share = min((second - BEGINS_S) / COME_S, 1 - (second - GOES_S) / COME_S, 1.0)
    return 0.5 - 0.5 * float(np.cos(np.pi * max(share, 0.0)))


def bent(image: Image, face: Face, moved: Points) -> Image:
    """``image`` with the face's points moved by ``moved`` (478, 3), canonical."""
    goal = project(face.canonical + moved, face.pose)[:, :2].astype(np.float64)
    height, width = image.shape[:2]
    edge = [
        (x, y) for x in np.linspace(0, width, 5) for y in np.linspace(0, height, 5) if not (x % width and y % height)
    ]
    at = np.concatenate([_MOVED, _HELD])
    whole = (0, 0, width, height)
    plate = ThinPlate(
        np.concatenate([goal[at], edge]), np.concatenate([face.points[at, :2], edge]), face.pose.scale, 1e-4
    )
    where = identity_map(whole) + plate.field(whole, face.pose.scale / 14)
    return np.asarray(cv2.remap(image, where, np.empty(0), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def film(images: Sequence[Image], name: str, share: Callable[[float], float] = share_at) -> list[Image]:
    """A clip in which the expression comes and goes."""
    if name == "none":
        return list(images)
    tracker, result = MediaPipeTracker(), []
    try:
        for k, image in enumerate(images):
            face, now = tracker.track(Frame(image, steady_ns(k + 1)[k], k)).face, share(k / STEADY_FPS)
            result.append(image if face is None or not now else bent(image, face, EXPRESSIONS[name] * np.float32(now)))
    finally:
        tracker.close()
    return result


@contextmanager
def keeping(how: Callable[[Kept, Expression, TrackedFrame, Bank], Points]) -> Iterator[None]:
    """In this block what is kept goes through ``how``, which is given the usual way first."""
    usual = Expression.kept

    def kept(expression: Expression, tracked: TrackedFrame, bank: Bank) -> Points:
        return how(usual, expression, tracked, bank)

    Expression.kept = kept  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Expression.kept = usual  # type: ignore[method-assign]


def nothing(usual: Kept, expression: Expression, tracked: TrackedFrame, bank: Bank) -> Points:
    """The bar: no expression is kept."""
    return UNMOVED


def timed(watch: Stopwatch) -> Callable[[Kept, Expression, TrackedFrame, Bank], Points]:
    """As usual, with a look at the clock."""

    def kept(usual: Kept, expression: Expression, tracked: TrackedFrame, bank: Bank) -> Points:
        with watch("kept"):
            return usual(expression, tracked, bank)

    return kept


def dub(images: Sequence[Image], sound: Array) -> list[Image]:
    """The pictures of a clip that speaks ``sound`` (n,)."""
    with tempfile.TemporaryDirectory() as folder, captured() as result:
        video = write_lossless(images, Path(folder) / "film.mkv")
        mic = UNSPOILT.write(np.asarray(sound, np.float32), Path(folder) / "voice.wav")
        run_file(
            build(FileConfig, input=str(video), mic=str(mic), output=Path("captured.mp4"), badge="off", quiet=True)
        )
        return list(result)


def corners(look: Look) -> Array:
    """Height, half the width, and how much higher the right one stands (T, 3), mouth widths."""
    left, right = look.shapes[:, CORNERS[0]], look.shapes[:, CORNERS[1]]
    found = [-(left + right)[:, 1] / 2, (right - left)[:, 0] / 2, (left - right)[:, 1]]
    return np.asarray(np.stack(found, 1) / np.float32(look.width()), np.float32)


def slow(curve: Array) -> Array:
    """Curves (T, n) without what words do to them, neither early nor late."""
    known = np.where(np.isfinite(curve), curve, np.nanmedian(curve, axis=0))
    blurred = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigmaX=0.01, sigmaY=SLOW_S * STEADY_FPS)
    return np.asarray(np.reshape(blurred, curve.shape), np.float32)


def partial(a: Array, b: Array, other: Array) -> float:
    """Correlation of two curves (T,), a third taken out."""
    ab, ao, bo = metrics.correlation(a, b), metrics.correlation(a, other), metrics.correlation(b, other)
    return float((ab - ao * bo) / max(np.sqrt((1 - ao**2) * (1 - bo**2)), 1e-6))


def figures(own: Look, source: Look, result: Look, truth: Look) -> dict[str, float]:
    """Of one film, over the frames that were dubbed; ``own`` is the clip before it was bent."""
    count = min(len(source.images), len(result.images), len(truth.images))
    dubbed = changed(source, result, np.array(source.times_ns))[:count]
    wanted, made, words = (corners(look)[:count] for look in (source, result, own))
    still, held = slow(wanted), slow(made)
    openings = [metrics.lip_opening(look.shapes[:count] / look.width())[dubbed] for look in (result, source, truth)]
    quick = [each[:count, :2].sum(1)[dubbed] for each in (made - held, words - slow(words))]
    lag = metrics.correlation_and_lag(still[:, 0], made[:, 0], MOST_LAG).best_lag
    return {
        "r height": metrics.correlation(still[dubbed, 0], made[dubbed, 0]),
        "r width": metrics.correlation(still[dubbed, 1], made[dubbed, 1]),
        "r tilt": metrics.correlation(still[dubbed, 2], made[dubbed, 2]),
        "size": float(np.polyfit(still[dubbed, 0], held[dubbed, 0], 1)[0]),
        "late ms": lag * FRAME_MS,
        "leak": partial(*openings),
        "quick": metrics.correlation(*quick),
        "r opening": metrics.correlation(openings[0], openings[2]),
    }


def looked(images: Sequence[Image]) -> Look:
    return Look.at(images, steady_ns(len(images)))


def measured(clip: Path, other: Path, name: str) -> dict[str, float]:
    """One clip with an expression, dubbed with the voice of another."""
    images = _images(clip)
    source = film(images, name)
    result = dub(source, voice(str(other)))
    return figures(*(looked(each) for each in (images, source, result, _images(other))))


def _images(clip: Path) -> list[Image]:
    return [frame.image for frame in frames(str(clip))]


def pairs(data: Path, each: int) -> list[tuple[Path, Path]]:
    """Of every speaker in ``data`` the first ``each`` clips, and the one after it."""
    of: dict[str, list[Path]] = defaultdict(list)
    for clip in sorted(data.rglob("*.mp4")):
        if "_hd" not in clip.stem:
            of[speaker_of(clip, data)].append(clip)
    return [(clips[k], clips[k + 1]) for clips in of.values() for k in range(min(each, len(clips) - 1))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid/people"))
    parser.add_argument("--each", type=int, default=1, help="clips of each speaker")
    parser.add_argument(
        "--expressions", type=lambda text: text.split(","), default=list(EXPRESSIONS), metavar="NAME,.."
    )
    parser.add_argument("--before", action="store_true", help="keep nothing")
    args = parser.parse_args()
    watch, means = Stopwatch(), {}
    clips = pairs(args.data, args.each)
    with keeping(nothing if args.before else timed(watch)):
        for name in args.expressions:
            rows = {clip.stem: measured(clip, other, name) for clip, other in clips}
            columns = tuple(next(iter(rows.values())))
            means[name] = {key: float(np.nanmean([row[key] for row in rows.values()])) for key in columns}
            shown = [(clip, *row.values()) for clip, row in rows.items()]
            show(name, ("clip", *columns), [*shown, ("mean", *means[name].values())])
    time_ms = watch.summary().get("kept", {})
    last_line({"benchmark": "expression", "clips": len(clips), "before": args.before, "means": means, "ms": time_ms})


if __name__ == "__main__":
    main()
