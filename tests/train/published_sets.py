"""Folders as HPMDubbing publishes them, of a few noises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

LIPS = {"v2c": "extrated_embedding_V2C_gray", "chem": "extrated_embedding_Chem_gray"}
SAID = ("HH", "AH0", "L", "OW1", "sp", "W", "ER1", "L", "D")
FRAMES = 20


def write_set(root: Path, layout: str, clips: int = 5, emotions: tuple[int, ...] = (3, 5)) -> Path:
    """``clips`` of two speakers, the last two of them for validation."""
    rng = np.random.default_rng(1)
    lines = []
    for index in range(clips):
        name, who, frames = f"c{index}", f"ann{index % 2}", FRAMES + index
        rows = {
            ("mel", "mel"): rng.normal(-5, 2, (4 * frames, 80)),
            ("pitch", "pitch"): rng.normal(0, 1, 4 * frames),
            ("energy", "energy"): rng.normal(0, 1, 4 * frames),
            (LIPS[layout], "face"): rng.normal(0, 1, (frames, 512)),
            ("VA_feature", "feature"): rng.normal(0, 1, (frames, 256)),
            ("spk2", "spk"): rng.normal(0, 1, 256),
            ("duration", "duration"): np.full(len(SAID), 8),
        }
        for (folder, kind), values in rows.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            kept = values if kind == "duration" else values.astype(np.float32)
            np.save(root / folder / f"{who}-{kind}-{name}.npy", kept)
        lines.append(f"{name}|{who}|{{{' '.join(SAID)}}}|hello world")
    (root / "train.txt").write_text("\n".join(lines[:-2]) + "\n")
    (root / "val.txt").write_text("\n".join(lines[-2:]) + "\n")
    if layout == "v2c":
        told = {f"c{index}": emotions[index % len(emotions)] for index in range(clips)}
        (root / "emotions.json").write_text(json.dumps(told))
    return root


def write_grid(root: Path, who: str, name: str, start_s: float = 0.5) -> None:
    """A TextGrid whose phones last 80 ms each, in place of the durations."""
    (root / "duration" / f"{who}-duration-{name}.npy").unlink()
    phones, at, each = ["sil", *SAID, "sil"], 0.0, []
    for k, phone in enumerate(phones):
        end = at + (start_s if k == 0 else 0.08)
        each.append(f'{at:.3f}\n{end:.3f}\n"{phone}"')
        at = end
    body = "\n".join(each)
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    text = f'{head}0\n{at}\n<exists>\n1\n"IntervalTier"\n"phones"\n0\n{at}\n'
    path = root / "TextGrid" / who / f"{name}.TextGrid"
    path.parent.mkdir(parents=True)
    path.write_text(f"{text}{len(phones)}\n{body}\n")
