"""Prepared folders of a few seconds, made without a video: a mouth that follows a noise, and two sounds as phonemes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engines.common.dataset import ALIGNMENTS, INDEX, Dataset
from engines.common.distributed import DistributedContext
from engines.common.engine import Work
from engines.common.prepare.clip import MARGIN_SAMPLES, write_whole
from engines.common.prepare.phones import append_row, npy, store, write_audio, write_power
from engines.common.speech.force_align import Segment
from engines.common.speech.whisper import SIZE
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.face.alignment import TEMPLATE

FRAMES = 50
LOWER_LIP = [14, 87, 317, 178, 402, 17]
SPEC = LogMelSpec()
WORDS = [[0, 480, "sil"], [480, 2000, "bin"]]


def work(root: Path, out: Path, seed: int = 1, **results: Path) -> Work:
    """What a stage is made of, from a prepared folder and the files of earlier nets."""
    return Work(Dataset(root), DistributedContext(), seed, out, results)


def write_track(root: Path, name: str, seed: int, part: str, speaker: str = "ann", phones: bool = False) -> None:
    """Two seconds of a face whose lower lip follows the loudness of a noise."""
    rng = np.random.default_rng(seed)
    loud = np.clip(np.sin(np.arange(FRAMES) / rng.uniform(1.5, 3)), 0, 1)
    loud[:12] = 0
    canonical = np.repeat(TEMPLATE[None], FRAMES, 0).copy()
    canonical[:, LOWER_LIP, 1] += 0.2 * loud[:, None]
    canonical = (canonical + rng.normal(0, 0.002, canonical.shape)).astype(np.float32)
    pose = {
        "rotation": np.repeat(np.eye(3, dtype=np.float32)[None], FRAMES, 0),
        "scale": np.full(FRAMES, 60, np.float32),
        "shift": np.full((FRAMES, 3), 100, np.float32),
        "seen": np.ones(FRAMES, bool),
    }
    for folder in ("tracks", "speech"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    np.save(root / "speech" / f"{name}.npy", np.repeat(loud > 0, 4))
    envelope = np.interp(np.arange(FRAMES * 640) / 640, np.arange(FRAMES), loud)
    sound = write_audio(root, name, (0.1 * envelope * rng.standard_normal(FRAMES * 640)).astype(np.float32))
    around = np.pad(np.round(sound * 32768).astype(np.int16), MARGIN_SAMPLES)
    np.savez(root / "tracks" / f"{name}.npz", canonical=canonical, sound=around, **pose)
    row = {"track": name, "speaker": speaker, "frames": FRAMES, "part": part, "words": WORDS}
    append_row(root / INDEX, row | {"corpus": "GRID audiovisual sentence corpus", "language": "en"})
    if phones:
        store(root, name, sound, [Segment("s", 0.5, 1.2), Segment("a", 1.2, 1.9)], SPEC)
        append_row(root / ALIGNMENTS, {"track": name, "seconds": 2.0, "score": 0.0, "sane": True})


def filmed(root: Path, count: int = 10, held: int = 2, phones: bool = False) -> Path:
    """A prepared folder of ``count`` tracks, the last ``held`` of them for validation."""
    for index in range(count):
        part = "validation" if index >= count - held else "train"
        write_track(root, f"t{index}", index, part, f"p{index // 4}", phones)
    return root


def heard(root: Path) -> Dataset:
    """A prepared folder of two sounds, one noise and one tone, that make two phonemes."""
    rng = np.random.default_rng(0)
    time = np.arange(3200) / 16_000
    sounds = {"s": 0.1 * rng.standard_normal(3200), "a": 0.2 * np.sin(2 * np.pi * 300 * time)}
    for index in range(12):
        order = ["s", "a"] if index % 2 else ["a", "s"]
        quiet = np.zeros(1600)
        sound = np.concatenate([quiet, *(sounds[name] for name in order), quiet]).astype(np.float32)
        segments = [Segment(name, 0.1 + 0.2 * i, 0.3 + 0.2 * i) for i, name in enumerate(order)]
        store(root, f"k{index}", write_audio(root, f"k{index}", sound), segments, SPEC)
        part, gender = ("validation" if index > 9 else "train"), ("female" if index < 3 else "male")
        told = {"corpus": "Common Voice 13", "language": "en", "gender": gender}
        append_row(root / INDEX, {"track": f"k{index}", "speaker": f"s{index}", "part": part, **told})
        append_row(root / ALIGNMENTS, {"track": f"k{index}", "seconds": 0.6, "score": 0.0, "sane": True})
    return Dataset(root)


def listened(root: Path) -> Dataset:
    """A prepared folder whose tracks have vectors: each class of sound, or loudness, has a direction of its own."""
    dataset = Dataset(root)
    rng = np.random.default_rng(3)
    directions = rng.normal(0, 1, (256, SIZE))
    for entry in dataset.entries:
        sound = dataset.audio(entry)
        if not entry.file("mel", ".npy").exists():
            write_power(root, entry.track, sound, SPEC)
        power = dataset.power(entry).astype(np.float32)
        loud = power.mean(1) > -14
        kinds = dataset.phones(entry)[1] if entry.file("phones", ".npy").exists() else loud.astype(int)
        at = np.minimum(np.arange(-(-len(sound) // 320)) * 2, len(kinds) - 1)
        vectors = directions[kinds[at]] + rng.normal(0, 0.1, (len(at), SIZE))
        write_whole(entry.file("vectors", ".npy"), npy(vectors.astype(np.float16)))
        if not entry.file("speech", ".npy").exists():
            write_whole(entry.file("speech", ".npy"), npy(loud))
    return dataset
