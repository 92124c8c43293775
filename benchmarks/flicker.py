"""Whether dubbed mouths flicker: `python -m benchmarks.flicker --data GRID/people`.

Of each speaker the first clips (``--clips``) make one film, which is dubbed with the voice of the next speaker's, taken
before encoding, and tracked afresh. Frames that were dubbed count, and beside them the same ones as they were filmed.
Another mouth of the bank that has another colour, or other teeth to be seen, is seen as a flicker.

``lips``       change of their colour from one frame to the next, means of the same places of both lips, CIE 1976's
               distance (Lab); ``lips95``: 95 % of the changes
``off``        distance of that colour from the filmed lips' in the same frame
``inside``     change of the lightness (L*) of the same places between the lips, where they are apart in both frames
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.another_person import images_of
from benchmarks.media import voice
from benchmarks.occlusion import dubbed
from benchmarks.output import last_line, show
from benchmarks.quality import chosen, speakers_in
from benchmarks.rendered import UNSPOILT, Look
from engines.common.people import speaker_of
from engines.common.rates import steady_ns
from engines.common.video_metrics import Array
from realtime_dub.blend.warp import sample
from realtime_dub.face.alignment import mouth_width
from realtime_dub.face.landmarks import LIPS, LIPS_INNER, mean_lip_opening
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.tone import lips_colour

COLUMNS = ("lips", "filmed lips", "lips95", "filmed lips95", "off", "inside", "filmed inside")
APART = 0.08  # mouth widths
_UPPER, _LOWER = LIPS_INNER[2:9], LIPS_INNER[18:11:-1]  # pairs above each other
_DOWN = np.linspace(0.15, 0.85, 6, dtype=np.float32)[:, None, None]


def colours(look: Look, images: Sequence[Image]) -> Array:
    """Lab (T, 3) of the lips of ``images``, NaN without a face; they lie where ``look`` has them."""
    found = np.full((len(images), 3), np.nan, np.float32)
    for seen, image, into in zip(look.tracked, images, found, strict=True):
        if seen.face is not None:
            into[:] = lips_colour(image, seen.face.points[LIPS])
    return np.asarray(cv2.cvtColor(found[None] / np.float32(255), cv2.COLOR_BGR2LAB)[0])


def insides(look: Look, images: Sequence[Image]) -> Array:
    """Lightness (T, 42) between the lips, NaN where they are not apart."""
    found = np.full((len(images), len(_DOWN) * len(_UPPER)), np.nan, np.float32)
    for seen, image, into in zip(look.tracked, images, found, strict=True):
        if seen.face is not None and mean_lip_opening(seen.face.canonical) > APART * mouth_width(seen.face.canonical):
            upper, lower = seen.face.points[_UPPER, :2], seen.face.points[_LOWER, :2]
            colours = sample(image, upper + _DOWN * (lower - upper), fine=False).astype(np.float32)
            into[:] = cv2.cvtColor(colours / np.float32(255), cv2.COLOR_BGR2LAB)[..., 0].ravel()
    return found


def figures(filmed: Look, made: Look) -> dict[str, float]:
    """Of the frames that were dubbed."""
    drawn = np.array([(a != b).any() for a, b in zip(filmed.images, made.images, strict=True)])
    shots = np.array([seen.shot for seen in filmed.tracked])
    both = drawn[1:] & drawn[:-1] & (shots[1:] == shots[:-1])
    before, after = colours(filmed, filmed.images), colours(made, made.images)
    told = {"off": float(np.nanmean(_apart(before, after)[drawn]))}
    for prefix, look, lips in (("", made, after), ("filmed ", filmed, before)):
        changes = _apart(lips[1:], lips[:-1])[both]
        told |= {f"{prefix}lips": np.nanmean(changes), f"{prefix}lips95": np.nanquantile(changes, 0.95)}
        steps = np.abs(np.diff(insides(look, look.images), axis=0)).mean(1)[both]
        told[f"{prefix}inside"] = steps[np.isfinite(steps)].mean() if np.isfinite(steps).any() else np.nan
    return {name: round(float(told[name]), 2) for name in COLUMNS}


def _apart(a: Array, b: Array) -> Array:
    return np.asarray(np.linalg.norm(a - b, axis=-1))


def film(clips: Sequence[Path], voices: Sequence[Path]) -> dict[str, float]:
    """The ``clips`` one after another, dubbed with the ``voices``."""
    images = images_of(clips)
    images = [image for image in images if image.shape == images[0].shape]  # a film has one size
    times_ns = steady_ns(len(images))
    with tempfile.TemporaryDirectory() as folder:
        sound = UNSPOILT.write(np.concatenate([voice(str(clip)) for clip in voices]), Path(folder) / "voice.wav")
        made = dubbed(images, times_ns, sound)
    return figures(Look.at(images, times_ns), Look.at(made, times_ns[: len(made)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of talking videos")
    parser.add_argument("--clips", type=int, default=4, help="of each speaker")
    args = parser.parse_args()
    found = chosen(args.data, "test", None)
    own = {
        name: [clip for clip in found if speaker_of(clip, args.data) == name][: args.clips]
        for name in speakers_in(found, args.data)
    }
    names = list(own)
    told = {name: film(own[name], own[names[(k + 1) % len(names)]]) for k, name in enumerate(names)}
    told["mean"] = {column: round(float(np.mean([row[column] for row in told.values()])), 2) for column in COLUMNS}
    show("from frame to frame, Lab", ("speaker", *COLUMNS), [(name, *row.values()) for name, row in told.items()])
    last_line({"benchmark": "flicker", "clips": args.clips, "speakers": told})


if __name__ == "__main__":
    main()
