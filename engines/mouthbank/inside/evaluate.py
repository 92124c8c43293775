"""Figures of the net that paints the inside of mouths: ``python -m engines.mouthbank.inside.evaluate --data DIR``.

Of people who were never learnt from. *Closed*: all that is known is a nearly shut mouth, the live one or a bank's; the
drawing without and with the net is compared with the same face and the mouth that was really filmed (see ``figures``).
*Full*: the bank knows the whole track; each frame is drawn with the mouth of another one, and shall stay as it is. The
last line is JSON; ``--json`` writes it to a file, ``--sheets`` pictures: drawn, painted and true, one above another.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, evenly
from engines.mouthbank.inside.figures import figures
from engines.mouthbank.inside.mouths import LEAST, Filmed, filmed
from realtime_dub.blend.warp import Box
from realtime_dub.face.alignment import LOWER, mouth_width, project
from realtime_dub.face.types import Face, Points
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.bank import Bank, Mouth, cut_mouth
from realtime_dub.mouth.mouthbank.cavity import missing
from realtime_dub.mouth.mouthbank.inside import Inside, View, moved, outlines, view_of
from realtime_dub.mouth.mouthbank.occlusion_view import taken
from realtime_dub.mouth.mouthbank.render import Renderer

SEED = 11
MISSING = 0.3  # share of the inside that is at least unseen
LIVE = 0.6  # of the moments; the others take the lips of a mouth in the bank
AWAY = 9  # frames between the live mouth and the one that is asked for
COLUMNS = 12


class Timed(Inside):
    """Counts how long it takes, ms."""

    def __init__(self) -> None:
        super().__init__()
        self.took_ms: list[float] = []

    def paint(self, region: Image, goal: Points, view: View, box: Box, unit: float, share: float, at_ns: int) -> None:
        start = time.perf_counter()
        super().paint(region, goal, view, box, unit, share, at_ns)
        self.took_ms.append(1000 * (time.perf_counter() - start))


def face_of(film: Filmed, at: int) -> Face:
    face = film.frames[at].face
    assert face is not None
    return face


def mouth_of(film: Filmed, at: int) -> Mouth:
    return cut_mouth(film.frames[at], face_of(film, at), film.shapes[at], 0.0)


def less_open(film: Filmed, than: float) -> Array:
    """Numbers of frames that show too little of the inside of a mouth open so far."""
    return np.flatnonzero([missing(than, seen) >= MISSING for seen in film.openings])


def closed(film: Filmed, inside: Inside, count: int, rng: np.random.Generator) -> list[Array]:
    """Twos of ``count`` moments: (2, 4, size, size, 3), drawn, painted, true, and the inner lips in all channels."""
    follows = np.flatnonzero(np.diff(film.numbers) == 1)
    goals = follows[np.minimum(film.openings[follows], film.openings[follows + 1]) >= LEAST]
    found = []
    for goal in rng.permutation(goals)[:count]:
        shut = less_open(film, min(film.openings[goal], film.openings[goal + 1]))
        if not len(shut):
            continue
        live = int(rng.choice(shut))
        mouth = mouth_of(film, live) if rng.random() >= LIVE else None
        sides = [_sides(film, live, int(each), mouth, inside) for each in (goal, goal + 1)]
        found.append(np.stack([each for each in sides if each is not None]))
    return [both for both in found if len(both) == 2]


def _sides(film: Filmed, live: int, goal: int, mouth: Mouth | None, inside: Inside) -> Array | None:
    ways = (mouth, None), (mouth, inside), (mouth_of(film, goal), None)
    made = [each for whose, painter in ways if (each := drawn(film, live, goal, whose, painter)) is not None]
    if len(made) < len(ways):
        return None
    return np.stack([*(picture for picture, _ in made), np.repeat(made[0][1][..., None], 3, -1)])


def drawn(
    film: Filmed, live: int, goal: int, mouth: Mouth | None, inside: Inside | None = None
) -> tuple[Array, Array] | None:
    """Frame ``live`` with the lips of frame ``goal``: picture (size, size, 3), and what the inner lips enclose.

    ``mouth``: whose lips are taken, the live ones without it; ``inside``: as renderers take it. None where nothing can
    be drawn.
    """
    pose, target = face_of(film, live).pose, face_of(film, live).canonical.copy()
    target[LOWER] = face_of(film, goal).canonical[LOWER]
    patch = Renderer(Bank(neutral=film.neutral), inside).reshape(film.frames[live], target, mouth)
    if patch is None:
        return None
    crop = view_of(film.neutral, target, pose).crop
    return taken(patch.image, moved(crop, patch.box)), outlines(project(target, pose), crop)[1]


def full(film: Filmed, inside: Inside) -> list[float]:
    """Of each frame, from a bank that knows the whole track, the share of the drawn pixels that the net changes."""
    bank = Bank()
    for tracked in film.frames:
        bank.observe(tracked)
    assert bank.neutral is not None
    plain, painting, shares = Renderer(bank), Renderer(bank, inside), []
    for k, tracked in enumerate(film.frames):
        other = face_of(film, (k + AWAY) % len(film.frames)).canonical
        displacement = (other[LOWER] - bank.neutral[LOWER]) / np.float32(mouth_width(bank.neutral))
        patches = [renderer.render(tracked, displacement, 1.0, k) for renderer in (plain, painting)]
        if patches[0] is not None and patches[1] is not None:
            shares.append(float((patches[0].image != patches[1].image).any(-1).mean()))
    return shares


def sheet(twos: Array) -> Image:
    """Drawn, painted and true mouths of moments that follow each other, side by side."""
    flat = twos.reshape(-1, *twos.shape[2:])[:COLUMNS]
    return np.concatenate([np.concatenate(list(flat[:, side]), 1) for side in range(3)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders made by prepare-dataset")
    parser.add_argument("--part", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--tracks", type=int, default=8, help="of a speaker, at most")
    parser.add_argument("--each", type=int, default=12, help="moments of a track")
    parser.add_argument("--sheets", type=Path, help="write a picture for each speaker into this folder")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    dataset, inside, rng = Dataset(*args.data), Timed(), np.random.default_rng(SEED)
    twos: dict[str, list[Array]] = defaultdict(list)
    changed: list[float] = []
    by_speaker = defaultdict(list)
    for entry in dataset.part(args.part):
        by_speaker[entry.speaker].append(entry)
    for speaker, own in sorted(by_speaker.items()):
        for entry in evenly(own, args.tracks):
            film = filmed(dataset, entry)
            twos[speaker] += closed(film, inside, args.each, rng)
            changed += full(film, inside)
        if args.sheets and twos[speaker]:
            args.sheets.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(args.sheets / f"{speaker}.png"), sheet(np.stack(twos[speaker])))
    told = told_of({name: np.stack(own) for name, own in twos.items() if own}, changed, inside.took_ms)
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


def told_of(twos: dict[str, Array], changed: list[float], took_ms: list[float]) -> dict[str, object]:
    """The figures, printed as a table as well."""
    groups = {**twos, "all": np.concatenate(list(twos.values()))}
    found = {
        name: figures(own[:, :, 0], own[:, :, 1], own[:, :, 2], own[:, :, 3, ..., 0]) for name, own in groups.items()
    }
    for name, values in found.items():
        print(f"{name:>6}  " + "  ".join(f"{key} {value:.3f}" for key, value in values.items()))
    told: dict[str, object] = {
        "closed": {name: {key: round(value, 4) for key, value in values.items()} for name, values in found.items()},
        "twos": {name: len(own) for name, own in groups.items()},
        "full": {
            "frames": len(changed),
            "frames_changed": sum(share > 0 for share in changed),
            "pixels_changed": round(float(np.mean(changed)), 6),
        },
        "ms": {str(share): round(float(np.percentile(took_ms, share)), 3) for share in (50, 95)},
    }
    print(f"  full  {told['full']}\n    ms  {told['ms']}")
    return told


if __name__ == "__main__":
    main()
