"""Reads folders as HPMDubbing publishes them: its preprocessed V2C-Animation (layout ``v2c``) and Chem (``chem``).

In the folder, by NAME of a clip and SPEAKER:

| file | what |
|---|---|
| ``train.txt``, ``val.txt``; ``test.txt`` (may be missing) | a line for each: ``NAME|SPEAKER|{HH AH0 L OW1}|text`` |
| ``mel/SPEAKER-mel-NAME.npy`` | (m, 80), four for a video frame |
| ``pitch/SPEAKER-pitch-NAME.npy``, ``energy/SPEAKER-energy-NAME.npy`` | (m,) in standard deviations |
| ``extrated_embedding_V2C_gray/SPEAKER-face-NAME.npy`` (``..._Chem_gray``) | (t, 512) of the lips, 25 a second |
| ``VA_feature/SPEAKER-feature-NAME.npy`` | (t, 256) valence and arousal |
| ``spk2/SPEAKER-spk-NAME.npy`` | (256,) who speaks |
| ``emos/SPEAKER-emo-NAME.npy`` (may be missing) | (256,) the scene; without it ``spk2``, as their own reader has it |
| ``emotions.json`` (of ``v2c``) | by NAME 0 to 7 |
| ``duration/SPEAKER-duration-NAME.npy`` (may be missing) | (p,) mel frames of each phoneme |
| ``TextGrid/SPEAKER/NAME.TextGrid`` (may be missing) | the aligner's, read where there are no durations |

Nothing else is read. Where nobody says when each phoneme is spoken, the attention is not led.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry
from engines.hpm.clips import Clip
from engines.hpm.data import emotions_in
from engines.hpm.shapes import BANDS, VECTOR
from engines.hpm.sound import FILMS_SOUND, LECTURES_SOUND, Sound
from engines.hpm.symbols import SILENCES, SYMBOLS
from engines.hpm.textgrid import QUIET, phones_in
from realtime_dub.errors import ConfigError
from realtime_dub.paths import read_plain, reason
from realtime_dub.stored import array_in
from realtime_dub.voice.hpm.order import MOST_FEATURES

PHONEMES = ("", *SYMBOLS)  # by number: the first is padding, and the blank of CTC
SILENT = tuple(PHONEMES.index(name) for name in SILENCES)
LISTS = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
SPARE = 3  # video frames by which rows of one clip may differ


@dataclass(frozen=True)
class Layout:
    """What is different between the two."""

    corpus: str
    lips: str  # folder
    sound: Sound
    emotions: bool


LAYOUTS = {
    "v2c": Layout("V2C-Animation", "extrated_embedding_V2C_gray", FILMS_SOUND, True),
    "chem": Layout("Chem", "extrated_embedding_Chem_gray", LECTURES_SOUND, False),
}


@dataclass(frozen=True)
class Listed:
    """A line of a list."""

    name: str
    speaker: str
    phonemes: str
    text: str


class PublishedSet(Dataset):
    """Folders of one layout. Raises ConfigError where one lacks something."""

    def __init__(self, layout: Layout, *roots: Path) -> None:
        self.roots, self.layout = roots, layout
        self._listed = {(root, each.name): each for root in roots for _, each in _lists(root)}
        self._emotions = {root: _told_emotions(root, layout) for root in roots}
        self.entries = [self._entry(root, part, each) for root in roots for part, each in _lists(root)]

    def read(self, part: str, sound: Sound) -> list[Clip]:
        """The clips of a part. Raises ConfigError."""
        return [self._clip(entry, sound) for entry in self.part(part)]

    def _entry(self, root: Path, part: str, listed: Listed) -> Entry:
        frames = len(_array(self._lips(root, listed), (None, None)))
        return Entry(
            listed.name,
            listed.speaker,
            part,
            frames,
            listed.text,
            corpus=self.layout.corpus,
            language="en",
            seconds=frames / self.layout.sound.fps,
            sane=True,
            root=root,
        )

    def _lips(self, root: Path, listed: Listed) -> Path:
        return root / self.layout.lips / f"{listed.speaker}-face-{listed.name}.npy"

    def _clip(self, entry: Entry, sound: Sound) -> Clip:
        root, listed = entry.root, self._listed[entry.root, entry.track]
        lips, mel = _array(self._lips(root, listed), (None, None)), _array(_file(root, "mel", listed), (None, BANDS))
        count = sound.per_frame
        frames = min(len(lips), len(mel) // count)
        if not frames or abs(len(lips) - len(mel) / count) > SPARE:
            what = f"{_file(root, 'mel', listed)}: {len(mel)} mel frames for {len(lips)} of the lips"
            raise ConfigError("cannot use", what, f"make {count} for each")
        long = frames * count
        rows = {kind: _cut(_file(root, kind, listed), (None,), long, SPARE * count) for kind in ("pitch", "energy")}
        face = _cut(_file(root, "VA_feature", listed, "feature"), (None, VECTOR), frames, SPARE)
        voice = _array(_file(root, "spk2", listed, "spk"), (VECTOR,))
        scene = _file(root, "emos", listed, "emo")
        phonemes = _numbers(listed, root)
        return Clip(
            entry.name,
            entry.speaker,
            phonemes,
            _places(root, listed, phonemes, long, sound),
            lips[:frames],
            mel[:long],
            rows["pitch"],
            rows["energy"],
            face,
            _array(scene, (VECTOR,)) if scene.exists() else voice,
            voice,
            SILENT,
            self._emotion(entry),
            sound.fps,
        )

    def _emotion(self, entry: Entry) -> int | None:
        told = self._emotions[entry.root]
        if self.layout.emotions and entry.track not in told:
            path = entry.root / "emotions.json"
            raise ConfigError("no emotion of", f"{entry.track} in {path}", "add it, or take the clip out of the lists")
        return told.get(entry.track)


def _lists(root: Path) -> Iterator[tuple[str, Listed]]:
    """The clips that a folder lists, by part. Raises ConfigError."""
    for part, name in LISTS.items():
        path = root / name
        if part == "test" and not path.exists():
            continue
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = reason(error) if isinstance(error, OSError) else "it is no text in UTF-8"
            raise ConfigError("cannot read", f"{path}: {why}", "give a folder as HPMDubbing publishes it") from None
        for number, line in enumerate(lines, 1):
            fields = line.split("|")
            if len(fields) != 4 or not all(fields[:3]):
                raise ConfigError("cannot read", f"line {number} of {path}", "write NAME|SPEAKER|{phonemes}|text")
            if "/" in fields[0] + fields[1] or "\\" in fields[0] + fields[1]:
                raise ConfigError("cannot read", f"line {number} of {path}", "give names, not paths")
            yield part, Listed(*fields)


def _told_emotions(root: Path, layout: Layout) -> dict[str, int]:
    if layout.emotions and not (root / "emotions.json").exists():
        raise ConfigError("no emotions in", f"{root}: emotions.json is missing", "add it, or give --layout chem")
    return emotions_in(root) if layout.emotions else {}


def _file(root: Path, folder: str, listed: Listed, kind: str = "") -> Path:
    return root / folder / f"{listed.speaker}-{kind or folder}-{listed.name}.npy"


def _array(path: Path, shape: tuple[int | None, ...]) -> Array:
    """The numbers of a file; None = of any size. Raises ConfigError for anything else."""
    wanted = f"({', '.join('n' if size is None else str(size) for size in shape)})"
    try:
        found = array_in(read_plain(path, MOST_FEATURES))
    except OSError as error:
        raise ConfigError(
            "cannot read", f"{path}: {reason(error)}", "add it, or take the clip out of the lists"
        ) from None
    except ValueError:
        raise ConfigError("cannot read", f"{path}: it is no array of numbers", f"make it a .npy {wanted}") from None
    if found.dtype.kind not in "fiu":
        raise ConfigError("cannot read", f"{path}: it is no array of numbers", f"make it a .npy {wanted}")
    if found.ndim != len(shape) or any(size not in (None, own) for size, own in zip(shape, found.shape, strict=True)):
        raise ConfigError("cannot use", f"{path}: {found.shape}", f"make it {wanted}")
    if not np.isfinite(found).all():
        raise ConfigError("cannot use", f"{path}: it has numbers that are none", "make it again")
    return np.asarray(found, np.float32)


def _cut(path: Path, shape: tuple[int | None, ...], count: int, spare: int) -> Array:
    """The first ``count`` rows of a file; ``spare`` of them may be missing: the last one stands for them.

    Raises ConfigError.
    """
    found = _array(path, shape)
    if not len(found) or count - len(found) > spare:
        raise ConfigError("cannot use", f"{path}: {len(found)} rows", f"make {count} of them, as the clip is long")
    missing = max(0, count - len(found))
    return np.concatenate([found, np.repeat(found[-1:], missing, 0)])[:count]


def _numbers(listed: Listed, root: Path) -> Array:
    """(p,) of the phonemes between braces. Raises ConfigError for one that is none."""
    names = listed.phonemes.strip().removeprefix("{").removesuffix("}").split()
    unknown = next((name for name in names if name not in SYMBOLS), None)
    if unknown is not None or not names:
        what = f"{unknown!r} of {listed.name}" if unknown else f"{listed.name}: it has none"
        raise ConfigError("cannot use the phonemes in", f"{root}: {what}", "write ARPAbet, such as {HH AH0 L OW1}")
    return np.array([PHONEMES.index(name) for name in names])


def _places(root: Path, listed: Listed, phonemes: Array, frames: int, sound: Sound) -> Array:
    """(frames,) which phoneme is said in each mel frame; -1 where nobody tells. Raises UserError."""
    counts, path = None, _file(root, "duration", listed)
    if path.exists():
        counts = _array(path, (None,)).astype(int)
    elif (grid := root / "TextGrid" / listed.speaker / f"{listed.name}.TextGrid").exists():
        path, counts = grid, _counts(grid, sound)
    if counts is None:
        return np.full(frames, -1)
    if len(counts) != len(phonemes) or (counts < 0).any():
        do = f"make one for each of the {len(phonemes)} phonemes of {listed.name}"
        raise ConfigError("cannot use", f"{path}: {len(counts)} durations", do)
    at = np.repeat(np.arange(len(counts)), counts)[:frames]
    return np.pad(at, (0, frames - len(at)), constant_values=-1)


def _counts(path: Path, sound: Sound) -> Array:
    """Mel frames (p,) of the phones of a TextGrid from the first one that is no pause to the last, as the published
    preparation cuts its clips. Raises MediaError.
    """
    said = phones_in(path)
    spoken = [k for k, (_, _, phone) in enumerate(said) if phone not in QUIET]
    rate = sound.rate / sound.hop
    inside = said[spoken[0] : spoken[-1] + 1] if spoken else []
    return np.array([round(end * rate) - round(start * rate) for start, end, _ in inside], int)
