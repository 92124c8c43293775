"""The files of a voice of piper's: ``VOICE.onnx`` and ``VOICE.onnx.json``, and how a text becomes what they take.

The text is read by espeak-ng, clause by clause; each letter of the IPA, mark and stop is a symbol, each symbol one or
more numbers, and a number for nothing is behind each.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.paths import read_plain, reason
from realtime_dub.validation import first_problem
from realtime_dub.voice.espeak import espeak

MOST_CONFIG, MOST_MODEL = 1_000_000, 512_000_000  # bytes
MOST_NUMBERS = 600  # of symbols that are said at once: some 20 s
NOTHING, BEGIN, END, SPACE = "_", "^", "$", " "
STOPS = {"。": ".", "！": "!", "？": "?", "।": ".", "…": ".", "؟": "?", "،": ",", "；": ";", "：": ":", "，": ","}  # noqa: RUF001
ENDS, WAITS = ".!?", ",;:"  # of a sentence; within one
_CLAUSE = re.compile(rf"([{re.escape(ENDS + WAITS + ''.join(STOPS))}])(?=[\s\"'”’»)]|$)|([{''.join('。！？')}])")  # noqa: RUF001
_ASIDE = re.compile(r"\([^)]*\)")  # around a word of another language stands which
DO = "give a voice of piper's with its .onnx.json beside it"


class Audio(BaseModel):
    sample_rate: int = Field(ge=8_000, le=48_000)  # Hz


class Reading(BaseModel):
    voice: Annotated[str, Field(min_length=1, max_length=40)] = "en-us"  # of espeak-ng


class Inference(BaseModel):
    noise_scale: Annotated[float, Field(ge=0, le=4)] = 0.667
    length_scale: Annotated[float, Field(gt=0.05, le=20)] = 1.0
    noise_w: Annotated[float, Field(ge=0, le=4)] = 0.8


class PiperConfig(BaseModel):
    """What is used of ``VOICE.onnx.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    audio: Audio
    espeak: Reading = Reading()
    inference: Inference = Inference()
    phoneme_type: Literal["espeak", "text"] = "espeak"
    phoneme_id_map: dict[str, list[int]] = Field(max_length=5_000)
    num_speakers: int = Field(1, ge=1)
    speaker_id_map: dict[str, int] = {}
    default_speaker_id: int = Field(0, ge=0)
    hop_length: int = Field(256, ge=16, le=8_192)  # samples
    vowel_clusters: list[list[str]] = Field([], max_length=0)  # symbols of several letters: not read here


@dataclass(frozen=True)
class Numbered:
    """A sentence: its symbols, and how many of ``numbers`` (n,) belong to each."""

    symbols: tuple[str, ...]
    counts: tuple[int, ...]
    numbers: tuple[int, ...]


def read_voice(path: Path) -> tuple[bytes, PiperConfig]:
    """The network and what is said of it. Raises ConfigError, BundleError."""
    beside = path.with_name(f"{path.name}.json")
    try:
        model, told = read_plain(path, MOST_MODEL), json.loads(read_plain(beside, MOST_CONFIG))
        config = PiperConfig.model_validate(told)
    except OSError as error:
        raise ConfigError("cannot read the voice", f"{path}: {reason(error)}", DO) from None
    except ValidationError as error:
        problem = first_problem(error)
        raise BundleError("cannot use the voice", f"{beside}: {problem.where}: {problem.what}", DO) from None
    except (ValueError, RecursionError):
        raise BundleError("cannot use the voice", f"{beside}: not JSON", DO) from None
    if missing := [each for each in (NOTHING, BEGIN, END) if not config.phoneme_id_map.get(each)]:
        raise BundleError("cannot use the voice", f"{beside}: phoneme_id_map has no {missing[0]}", DO)
    return model, config


def sentences_of(text: str, config: PiperConfig) -> list[list[str]]:
    """The symbols of each sentence. Raises ConfigError for a language that espeak-ng does not have."""
    if config.phoneme_type == "text":
        return [list(unicodedata.normalize("NFD", text))] if text.strip() else []
    found: list[list[str]] = [[]]
    parts = _CLAUSE.split(" ".join(text.split()))
    for clause, stop, other in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        mark = STOPS.get(stop or other or "", stop or other or "")
        read = _ASIDE.sub("", espeak().phonemes(clause, config.espeak.voice)) if clause.strip() else ""
        if read:
            found[-1] += unicodedata.normalize(
                "NFD", read.replace("_", "").strip() + mark + (SPACE if mark in tuple(WAITS) else "")
            )
        if read and mark in tuple(ENDS):
            found.append([])
    return [each for each in found if each]


def numbered(symbols: Sequence[str], config: PiperConfig) -> list[Numbered]:
    """A sentence as a network takes it, in parts where it is long. Symbols that the voice has not are left out."""
    known = [each for each in symbols if each in config.phoneme_id_map]
    parts: list[list[str]] = [[]]
    for symbol in known:
        parts[-1].append(symbol)
        if symbol == SPACE and 2 * len(parts[-1]) > MOST_NUMBERS:
            parts.append([])
    return [_numbered(part, config) for part in parts if part]


def _numbered(symbols: Sequence[str], config: PiperConfig) -> Numbered:
    ids, nothing = config.phoneme_id_map, config.phoneme_id_map[NOTHING]
    rows = [[*ids[BEGIN], *nothing], *([*ids[each], *nothing] for each in symbols), ids[END]]
    return Numbered(
        (BEGIN, *symbols, END), tuple(len(row) for row in rows), tuple(number for row in rows for number in row)
    )
