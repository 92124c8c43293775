"""Whether dubbed lips keep their colour: `python -m benchmarks.lip_colour --data GRID/people`.

Of each speaker the first clips (``--clips``) make one film, which is dubbed with the voice of the next speaker's, taken
before encoding, and tracked afresh. Colours are the means of the same places of both lips, distances CIE 1976's (Lab);
frames that were dubbed count, and the same ones as they were filmed.

``change``     from one frame to the next, mean; ``change95``: 95 %. Another mouth of the bank that has another colour
               is seen as a flicker
``off``        of the dubbed lips from the filmed ones in the same frame, mean
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
from realtime_dub.face.landmarks import LIPS
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.tone import lips_colour

COLUMNS = ("change", "filmed change", "change95", "filmed change95", "off")


def colours(look: Look, images: Sequence[Image]) -> Array:
    """Lab (T, 3) of the lips of ``images``, NaN without a face; they lie where ``look`` has them."""
    found = np.full((len(images), 3), np.nan, np.float32)
    for seen, image, into in zip(look.tracked, images, found, strict=True):
        if seen.face is not None:
            into[:] = lips_colour(image, seen.face.points[LIPS])
    return np.asarray(cv2.cvtColor(found[None] / np.float32(255), cv2.COLOR_BGR2LAB)[0])


def figures(filmed: Look, made: Look) -> dict[str, float]:
    """Of the frames that were dubbed."""
    drawn = np.array([(a != b).any() for a, b in zip(filmed.images, made.images, strict=True)])
    before, after = colours(filmed, filmed.images), colours(made, made.images)
    shots = np.array([seen.shot for seen in filmed.tracked])
    both = drawn[1:] & drawn[:-1] & (shots[1:] == shots[:-1])
    told = {"off": float(np.nanmean(_apart(before, after)[drawn]))}
    for name, lips in {"change": after, "filmed change": before}.items():
        changes = _apart(lips[1:], lips[:-1])[both]
        told |= {name: float(np.nanmean(changes)), f"{name}95": float(np.nanquantile(changes, 0.95))}
    return {name: round(told[name], 2) for name in COLUMNS}


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
    show("lips, distances in Lab", ("speaker", *COLUMNS), [(name, *row.values()) for name, row in told.items()])
    last_line({"benchmark": "lip_colour", "clips": args.clips, "speakers": told})


if __name__ == "__main__":
    main()
