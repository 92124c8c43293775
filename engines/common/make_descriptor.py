"""Make ``realtime_dub/face/descriptor.npz``: what two looks at a face may differ by and still be one person.

``python -m engines.common.make_descriptor --data data/grid`` learns from ``s1/*.mp4`` (every 40th) and
``people/NAME_*.mp4``, each as filmed and, three clips a person, varied (``engines/common/face_variants.py``).
For each kind of variation the scatter about the person's mean is whitened.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.face_variants import VARIANTS
from realtime_dub.clock import VirtualClock
from realtime_dub.face.descriptor import LENGTH, aligned, histograms, upper_shape
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.media import Frame
from realtime_dub.sources.base import read_all
from realtime_dub.sources.registry import open_video

OUT = Path(__file__).parents[2] / "realtime_dub" / "face" / "descriptor.npz"
AS_FILMED = "as filmed"
TEXTURE = 48  # dimensions; the rest are the shape's
EVERY, VARIED_EVERY = 6, 3  # frames: those between differ by little
MOST_CLIPS = 40  # of a person, as filmed: nobody counts for much more than the others
VARIED_CLIPS, VARIED_FRAMES = 3, 75
RIDGE = 0.05  # of the mean variance, added to all
VARIED_WEIGHT = 0.5  # of a variation's scatter against that of the film as it is

Looks = dict[tuple[str, str], Array]  # of a person in a variation: (n, values)


def clips(data: Path) -> dict[str, list[Path]]:
    """Whose clips there are."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(data.glob("people/*.mp4")):
        found[path.stem.split("_")[0]].append(path)
    found["s1"] = sorted(data.glob("s1/*.mp4"))[::40]
    return dict(found)


def frames(path: Path) -> Iterator[Frame]:
    source = open_video(str(path), clock=VirtualClock(), live=False)
    source.open()
    try:
        yield from read_all(source.read)
    finally:
        source.close()


def looks(path: Path, variant: str) -> Iterator[tuple[Array, Array]]:
    """Histograms and shapes of a clip's face."""
    rng = np.random.default_rng(0)
    plain, varied = MediaPipeTracker(smooth=False), MediaPipeTracker()
    try:
        for frame in frames(path):
            image = frame.image
            if variant != AS_FILMED:
                face = plain.track(frame).face
                if face is None or frame.seq >= VARIED_FRAMES:
                    continue
                image = VARIANTS[variant](image, face, rng)
            found = varied.track(Frame(image, frame.pts_ns, frame.seq)).face
            if found is not None and frame.seq % (EVERY if variant == AS_FILMED else VARIED_EVERY) == 0:
                yield histograms(aligned(image, found)), upper_shape(found.canonical)
    finally:
        plain.close()
        varied.close()


def gather(data: Path) -> tuple[Looks, Looks]:
    """Of all people in all variations: textures, shapes."""
    textures: Looks = {}
    shapes: Looks = {}
    for person, paths in clips(data).items():
        for variant in (AS_FILMED, *VARIANTS):
            chosen = (
                paths[:MOST_CLIPS]
                if variant == AS_FILMED
                else paths[:: max(1, len(paths) // VARIED_CLIPS)][:VARIED_CLIPS]
            )
            pairs = [pair for path in chosen for pair in looks(path, variant)]
            textures[person, variant], shapes[person, variant] = (np.array(each) for each in zip(*pairs, strict=True))
        looked = sum(len(each) for (name, _), each in textures.items() if name == person)
        print(person, min(len(paths), MOST_CLIPS), "clips,", looked, "looks", flush=True)
    return textures, shapes


def whiten(seen: Looks, count: int) -> tuple[Array, Array]:
    """Mean (n,) and projection (n, count), in units of the median distance of a film's frame from its person's mean."""
    means = {person: each.mean(0) for (person, variant), each in seen.items() if variant == AS_FILMED}
    mean = np.mean(list(means.values()), axis=0)
    spread = np.concatenate(list(seen.values())) - mean
    _, vectors = np.linalg.eigh(spread.T @ spread)
    axes = vectors[:, ::-1][:, :count]
    scatter = _scatter(seen, means, axes)
    values, turned = np.linalg.eigh(scatter)
    projection = axes @ (turned / np.sqrt(values + RIDGE * values.mean()))
    return mean, projection / _unit(seen, means, projection)


def _scatter(seen: Looks, means: dict[str, Array], axes: Array) -> Array:
    """Within people, each variation of each person counting alike."""
    total, weights = np.zeros((axes.shape[1],) * 2), 0.0
    for (person, variant), each in seen.items():
        apart, weight = (each - means[person]) @ axes, 1.0 if variant == AS_FILMED else VARIED_WEIGHT
        total += weight * apart.T @ apart / len(apart)
        weights += weight
    return np.asarray(total / weights)


def _unit(seen: Looks, means: dict[str, Array], projection: Array) -> float:
    apart = [(each - means[person]) @ projection for (person, kind), each in seen.items() if kind == AS_FILMED]
    return float(np.median(np.linalg.norm(np.concatenate(apart), axis=1)))


def save(textures: Looks, shapes: Looks, out: Path) -> None:
    arrays: dict[str, Array] = {}
    for name, seen, count in (("texture", textures, TEXTURE), ("shape", shapes, LENGTH - TEXTURE)):
        mean, projection = whiten(seen, count)
        # Both count alike, so that together they have the unit of one.
        arrays |= {f"{name}_mean": mean.astype(np.float16), name: (projection / np.sqrt(2)).astype(np.float16)}
    np.savez_compressed(out, **arrays)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid"))
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(arguments)
    save(*gather(args.data), args.out)


if __name__ == "__main__":
    main()
