"""Speech corpora: the table of clips, their sound, and which speakers are kept for measuring.

The table is ``transcripts.tsv`` (file, corpus, language, speaker, gender, text) in the corpora's folder.
"""

from __future__ import annotations

import csv
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from realtime_dub.errors import MediaError

RATE = 16_000
ENGLISH = "en"
EVALUATION = "LibriSpeech"  # heard for measuring alone
LANGUAGES_KEPT_OUT = ("fi", "hi", "pt")  # so are these, of which no voice is trained on
HELD_OUT = 10  # one speaker in so many is never trained on
SAID = {"z": "zed"}  # how GRID's British speakers say what is written
TABLE, COLUMNS = "transcripts.tsv", ("file", "corpus", "language", "speaker", "gender", "text")
_WORD = re.compile(r"[a-z']+")


@dataclass(frozen=True)
class Row:
    """One clip of the table."""

    file: str
    corpus: str
    language: str
    speaker: str
    gender: str  # "male", "female" or "" where it is not told
    text: str

    @property
    def key(self) -> str:
        """Name of the clip's track."""
        return Path(self.file).with_suffix("").as_posix().replace("/", "__")

    @property
    def part(self) -> str:
        """``train``, ``validation`` (a speaker kept out) or ``test`` (a corpus or a language kept out)."""
        if self.corpus == EVALUATION or self.language in LANGUAGES_KEPT_OUT:
            return "test"
        return "validation" if zlib.crc32(f"{self.corpus}/{self.speaker}".encode()) % HELD_OUT == 0 else "train"


def read_table(folder: Path) -> list[Row]:
    """All clips of a folder of corpora. Raises MediaError where there is no table of them."""
    path = folder / TABLE
    if not path.exists():
        raise MediaError("no table of the clips:", str(path), f"it has the columns {', '.join(COLUMNS)}, by tabs")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [_row(row) for row in rows]


def _row(row: dict[str, str]) -> Row:
    gender = {"m": "male", "f": "female", "male": "male", "female": "female"}.get(row["gender"] or "", "")
    return Row(row["file"], row["corpus"], row["language"], row["speaker"], gender, row["text"])


def words_of(text: str) -> list[str]:
    """English text as a dictionary knows its words."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def read_sound(path: Path) -> Array:
    """Mono sound (n,) at 16 kHz, float32."""
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        blocks = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        blocks += resampler.resample(None)
        sound = np.concatenate([np.zeros(0, np.float32), *(block.to_ndarray()[0] for block in blocks)])
    return np.asarray(sound, np.float32)


def read_phones(path: Path) -> dict[str, list[list[str]]]:
    """Reference phones per word of speechocean762's clips: ``000010011.0<TAB>W_B IY0_E``; none without the file."""
    if not path.exists():
        return {}
    clips: dict[str, list[list[str]]] = {}
    for line in path.read_text("utf-8").splitlines():
        name, phones = line.split("\t", 1)
        clip, _, word = name.rpartition(".")
        found = clips.setdefault(clip, [])
        assert int(word) == len(found), f"{path}: words of {clip} are out of order"
        found.append(phones.split())
    return clips
