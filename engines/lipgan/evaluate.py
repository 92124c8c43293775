"""How painted mouths move, read by the face mesh: ``python -m engines.lipgan.evaluate --data DIR --bundle FOLDER``.

Every track of a part is painted twice and laid into its video's frames: for its own voice (``own``), and for that of
the person's next track (``other``), where nothing that the live mouth does can help. r is that of the lips' opening,
painted against filmed, mean over tracks; ``depth`` is how far painted lips open, as a share of the filmed ones.
``--sheets`` writes a picture of each track. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry, Track
from engines.common.filmed import PERIOD_NS, pictures
from engines.common.video_metrics import correlation, lip_opening
from engines.lipgan.faces import APART, silent_frame
from realtime_dub.audio.frontends import open_front_end
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec
from realtime_dub.audio.frontends.windows import last_frame, windows
from realtime_dub.blend.composite import paste
from realtime_dub.blend.crops import patch_of
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import canonicalise, mouth_width
from realtime_dub.face.crop import crop_of
from realtime_dub.face.models import Mesh
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.inference.bundle import Bundle, load
from realtime_dub.inference.spec import CropTaskSpec
from realtime_dub.media import Frame, Image

MOMENTS, SHEET_SIDE = 12, 128


@dataclass(frozen=True, eq=False)
class Film:
    """A track with its pictures."""

    track: Track
    frames: list[TrackedFrame]
    mel: Array  # (m, 80)

    @property
    def opening(self) -> Array:
        """Of the filmed lips (n,), mouth widths."""
        return np.array([opening_of(each.face) for each in self.frames])


class Painter:
    """A bundle at work."""

    def __init__(self, bundle: Bundle) -> None:
        if not isinstance(bundle.spec, CropTaskSpec):
            raise ConfigError("no painter's bundle:", bundle.label, "choose another --bundle")
        self.spec, self._session = bundle.spec, bundle.session("cpu")
        self._silent = silent_frame(PainterMelSpec())
        self.took_ms: list[float] = []

    def paint(self, film: Film, mel: Array) -> Iterator[Image]:
        """The film's frames with the mouth that speaks ``mel``."""
        spec = self.spec
        crops = [crop_of(_face(each), spec.crop.size, spec.crop.alignment, spec.crop.margins) for each in film.frames]
        faces = [crop.take(each.frame.image) for crop, each in zip(crops, film.frames, strict=True)]
        shut = np.argsort(film.opening)
        for place, (tracked, crop) in enumerate(zip(film.frames, crops, strict=True)):
            last = last_frame(PainterMelSpec(), tracked.frame.pts_ns, spec.look_ahead_ns)
            window = windows(mel, [last], spec.window_frames, self._silent)
            other = next((int(at) for at in shut if abs(at - place) >= APART), int(shut[0]))
            face, reference = (_planes(faces[at]) for at in (place, other))
            began = time.perf_counter()
            painted = self._session.run({"mel": window, "face": face, "reference": reference})["painted"][0]
            self.took_ms.append(1000 * (time.perf_counter() - began))
            made = np.clip(painted.transpose(1, 2, 0) * 255, 0, 255).round().astype(np.uint8)
            image = tracked.frame.image.copy()
            patch = patch_of(tracked, crop, made, tracked.frame.pts_ns)
            if patch is not None:
                paste(image, patch, 1.0)
            yield image


def film_of(dataset: Dataset, entry: Entry) -> Film:
    """A track with its pictures, stamped by their numbers."""
    track = dataset.load(entry)
    landmarks = track.landmarks()
    frames = [
        TrackedFrame(Frame(frame.image, k * PERIOD_NS, k), canonicalise(landmarks[k])) for k, frame in pictures(entry)
    ]
    front_end = open_front_end(PainterMelSpec())
    return Film(track, frames, np.concatenate([front_end.process(track.audio), front_end.finish()]))


def opening_of(face: Face | None) -> float:
    if face is None:
        return float("nan")
    return float(lip_opening(face.canonical[None])[0] / mouth_width(face.canonical))


def read(mesh: Mesh, images: list[Image]) -> Array:
    """How far the lips are open in pictures (n,); NaN where no face is found."""
    mesh.forget()
    found = [mesh.find(image) for image in images]
    return np.array([opening_of(canonicalise(each[0])) if each else float("nan") for each in found])


def judged(painter: Painter, mesh: Mesh, films: list[Film], sheets: Path | None) -> dict[str, float]:
    """Means over one person's films."""
    rows: dict[str, list[float]] = defaultdict(list)
    for place, film in enumerate(films):
        for kind, voice in (("own", film), ("other", films[(place + 1) % len(films)])):
            images = list(painter.paint(film, voice.mel))
            there = min(len(images), len(voice.frames))
            found, real = read(mesh, images)[:there], voice.opening[:there]
            rows[f"r_{kind}"].append(correlation(real, found))
            rows[f"depth_{kind}"].append(float(np.nanstd(found) / max(np.nanstd(real), 1e-6)))
            if sheets is not None:
                _write_sheet(sheets / f"{film.track.entry.track.replace('/', '_')}-{kind}.png", film, voice, images)
    return {name: round(float(np.mean(values)), 4) for name, values in rows.items()}


def _write_sheet(path: Path, film: Film, voice: Film, images: list[Image]) -> None:
    """Above the live faces, in the middle the painted ones, below those whose voice it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    at = np.linspace(0, min(len(images), len(voice.frames)) - 1, MOMENTS).astype(int)
    rows = [
        [_close(film.frames[k], film.frames[k].frame.image) for k in at],
        [_close(film.frames[k], images[k]) for k in at],
        [_close(voice.frames[k], voice.frames[k].frame.image) for k in at],
    ]
    cv2.imwrite(str(path), np.concatenate([np.concatenate(row, 1) for row in rows], 0))


def _close(tracked: TrackedFrame, image: Image) -> Image:
    return crop_of(_face(tracked), SHEET_SIDE, "pose", (-0.1, 0.1, 0.0, 0.0)).take(image)


def _face(tracked: TrackedFrame) -> Face:
    assert tracked.face is not None
    return tracked.face


def _planes(face: Image) -> Array:
    return np.ascontiguousarray(face.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders made by prepare-dataset")
    parser.add_argument("--part", default="validation", choices=("train", "validation", "test"))
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--tracks", type=int, default=4, help="of a speaker, at most")
    parser.add_argument("--sheets", type=Path, help="a folder for pictures of each track")
    args = parser.parse_args()
    dataset, painter, mesh = Dataset(*args.data), Painter(load(args.bundle, known=True)), Mesh(1)
    by_speaker: dict[str, list[Entry]] = defaultdict(list)
    for entry in dataset.part(args.part):
        by_speaker[entry.speaker].append(entry)
    told: dict[str, object] = {"bundle": str(args.bundle)}
    for speaker, entries in sorted(by_speaker.items()):
        chosen = np.unique(np.linspace(0, len(entries) - 1, min(args.tracks, len(entries))).astype(int))
        films = [film_of(dataset, entries[place]) for place in chosen]
        told[speaker] = judged(painter, mesh, films, args.sheets)
        print(speaker, told[speaker], flush=True)
    told["ms"] = {str(share): round(float(np.percentile(painter.took_ms, share)), 2) for share in (50, 95)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
