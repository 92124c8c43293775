"""LipLeak: how often a mouth is seen talking while the voice is silent, in the source and with each ``--silence``.

`python -m benchmarks.lip_leak FOLDER [--clips 10] [--silence live rest auto]`

FOLDER has films of people who talk. Each is dubbed with digital silence by the file pipeline; before encoding, the lips
are found again in the result by a tracker that is not smoothed. Counted are the frames between the first and the last
sound of the film's own voice, in which the face talks: the share of them whose mouth aspect ratio, height of the inner
lips over their width, is above 0.25. The voice is a file, so `auto` rests.
"""

from __future__ import annotations

import argparse
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.capture import captured
from benchmarks.output import last_line, show
from benchmarks.rendered import Look, quiet_frames, spoken_frames
from engines.common.video_metrics import Array, Bools
from realtime_dub.config import FileConfig, build
from realtime_dub.face.landmarks import LIPS_INNER
from realtime_dub.media import Image
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.pipeline.file.run import run_file

OPEN = 0.25  # mouth aspect ratio
SECONDS = 60  # of silence: longer than any clip
SOURCE = "source"


@dataclass(frozen=True)
class Leak:
    """Of the frames in which a face talks."""

    leak: float  # share whose mouth is open
    aspect: float  # mean mouth aspect ratio
    speed: float  # mean change of the aspect ratio from one frame to the next
    frames: int


def aspect_ratio(shapes: Array) -> Array:
    """Of canonical faces (T, 478, 3): height of the inner lips in the middle over their width, (T,)."""
    left, upper, right, lower = (shapes[:, LIPS_INNER[at]] for at in (0, 5, 10, 15))
    width = np.linalg.norm(right - left, axis=-1)
    return np.asarray(np.linalg.norm(lower - upper, axis=-1) / np.maximum(width, 1e-6))


def leak(look: Look, talks: Bools) -> Leak:
    """``talks`` (T,): the frames that count; those without a face do not."""
    ratio = aspect_ratio(look.shapes)
    seen = ratio[talks & np.isfinite(ratio)]
    speed = np.abs(np.diff(ratio))[talks[1:] & talks[:-1]]
    return Leak(float((seen > OPEN).mean()), float(seen.mean()), float(np.nanmean(speed)), len(seen))


def dubbed(
    clip: Path, voice: Path, silence: str, engine: str = registry.DEFAULT, bundle: Path | None = None
) -> list[Image]:
    """The frames of ``clip`` with ``voice``; ``silence`` where the engine takes it."""
    values = {"mic": str(voice), "engine": engine, "bundle": bundle, "quiet": True}
    if "silence" in registry.engine(engine).options:
        values["silence"] = silence
    with captured() as images:
        run_file(build(FileConfig, input=str(clip), output=Path("captured.mp4"), badge="off", **values))
        return list(images)


def measure(clip: Path, silences: Sequence[str], voice: Path) -> dict[str, Leak]:
    """One clip, by what is shown in silence."""
    from benchmarks.media import frames

    seen = [(frame.image, frame.pts_ns) for frame in frames(str(clip))]
    images, times_ns = [image for image, _ in seen], [at_ns for _, at_ns in seen]
    talks = spoken_frames(quiet_frames(clip, np.array(times_ns)))
    found = {SOURCE: leak(Look.at(images, times_ns), talks)}
    for silence in silences:
        result = dubbed(clip, voice, silence)
        count = min(len(result), len(talks))
        found[silence] = leak(Look.at(result[:count], times_ns[:count]), talks[:count])
    return found


def write_silence(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, VOICE_RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * VOICE_RATE * SECONDS))
    return path


def mean(found: Sequence[Leak]) -> Leak:
    """Over all frames of all clips."""
    frames = sum(each.frames for each in found)
    shares = [each.frames / frames for each in found]
    names = ("leak", "aspect", "speed")
    sums = {name: sum(share * getattr(each, name) for share, each in zip(shares, found, strict=True)) for name in names}
    return Leak(frames=frames, **sums)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how often a mouth talks under a silent voice.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--silence", nargs="+", choices=("live", "rest", "auto"), default=("live", "rest"))
    arguments = parser.parse_args()
    clips = sorted(each for each in arguments.folder.iterdir() if each.suffix in (".mp4", ".mkv"))[: arguments.clips]
    if not clips:
        parser.error(f"no .mp4 or .mkv in {arguments.folder}")
    with tempfile.TemporaryDirectory() as folder:
        voice = write_silence(Path(folder) / "silence.wav")
        found = {clip.stem: measure(clip, arguments.silence, voice) for clip in clips}
    kinds = (SOURCE, *arguments.silence)
    total = {kind: mean([each[kind] for each in found.values()]) for kind in kinds}
    columns = ("clip", *(f"{kind}: {what}" for kind in kinds for what in ("LipLeak", "ratio", "speed")))
    rows = [(name, *_cells(each, kinds)) for name, each in (*found.items(), ("all", total))]
    show(f"Open mouths (ratio above {OPEN}) under a silent voice", columns, rows)
    last_line({"clips": len(clips), **{kind: asdict(total[kind]) for kind in kinds}})


def _cells(found: dict[str, Leak], kinds: Sequence[str]) -> list[float]:
    return [value for kind in kinds for value in (found[kind].leak, found[kind].aspect, found[kind].speed)]


if __name__ == "__main__":
    main()
