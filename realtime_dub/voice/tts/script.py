"""Scripts: lines of text, subtitles, and in which language each is said. Nothing in them is left out unsaid."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.paths import read_plain, reason
from realtime_dub.voice.contract import Line

MOST_BYTES, MOST_LINES, MOST_LETTERS = 4_000_000, 20_000, 10_000
MOST_SECONDS = 100 * 3600
# Whose letters say of which language a line is, where nobody said it.
LETTERS = {
    "DEVANAGARI": "hi", "HEBREW": "he", "ARABIC": "ar", "CYRILLIC": "ru", "GREEK": "el", "HANGUL": "ko",
    "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "cmn", "THAI": "th", "BENGALI": "bn", "TAMIL": "ta", "TELUGU": "te",
    "GUJARATI": "gu", "GURMUKHI": "pa", "KANNADA": "kn", "MALAYALAM": "ml", "GEORGIAN": "ka", "ARMENIAN": "hy",
    "ETHIOPIC": "am", "SINHALA": "si", "MYANMAR": "my",
}  # fmt: skip
# Only spaces are split at, so that nothing gets lost.
_END = re.compile(r"(?<=[.!?…।؟])\s+|(?<=[.!?…][\"'”’»)])\s+|(?<=[。！？])")  # noqa: RUF001
_CLOCK = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_TAGS = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}|<\d{1,3}:\d\d[^<>\n]{0,20}>")


def language_of(text: str, given: str | None = None) -> str:
    """The one that was given; else that of most of its letters, English for Latin ones."""
    if given:
        return "en-us" if given == "en" else given
    owners = Counter(unicodedata.name(char, "?").partition(" ")[0] for char in text if char.isalpha())
    most = owners.most_common(1)
    return LETTERS.get(most[0][0], "en-us") if most else "en-us"


def sentences(text: str) -> Iterator[str]:
    """One after the other; a text without a full stop is one."""
    for part in _END.split(" ".join(text.split())):
        if part.strip():
            yield part.strip()


def read_script(path: Path) -> list[Line]:
    """The lines of a text, or of subtitles by the file's name (.srt, .vtt). Raises MediaError, ConfigError."""
    if path.suffix.lower() in (".srt", ".vtt"):
        return read_subtitles(path)
    return lines_of(_text(path), str(path))


def lines_of(text: str, name: str) -> list[Line]:
    """Each line of a text that is not empty. Raises ConfigError where none is, or one is too long."""
    found = [Line(" ".join(line.split())) for line in text.splitlines() if line.strip()]
    return _checked(found, name, "write what is to be said")


def read_subtitles(path: Path) -> list[Line]:
    """Cues of SRT or WebVTT in order of time. Raises MediaError for what is neither, or is without an end."""
    text = _text(path).replace("\r\n", "\n").replace("\r", "\n")
    found, rows, number = [], text.split("\n"), 0
    while number < len(rows):
        times = _TIMES.fullmatch(rows[number])
        number += 1
        if times is None:
            continue
        words = []
        while number < len(rows) and rows[number].strip() and not _TIMES.fullmatch(rows[number]):
            words.append(rows[number])
            number += 1
        found += _cue(times, words, f"{path}: line {number}")
    if not found:
        raise MediaError("no subtitles in", str(path), "give an .srt or .vtt with times and text")
    return _checked(sorted(found, key=lambda line: line.start_s or 0), str(path), "give subtitles with text")


def _cue(times: re.Match[str], words: list[str], where: str) -> list[Line]:
    hours, minutes, seconds, part, *last = times.groups()
    start = _seconds(hours, minutes, seconds, part)
    end = _seconds(*last)
    if end <= start or end > MOST_SECONDS:
        raise MediaError("cannot use the times of", f"{where}: {start:g} to {end:g} s", "mend them")
    text = " ".join(_TAGS.sub("", " ".join(words)).split())
    return [Line(text, start, end)] if text else []


def _seconds(hours: str | None, minutes: str, seconds: str, part: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(part.ljust(3, "0")) / 1000


def _checked(lines: list[Line], name: str, do: str) -> list[Line]:
    if not lines:
        raise ConfigError("nothing to say in", name, do)
    if len(lines) > MOST_LINES or any(len(line.text) > MOST_LETTERS for line in lines):
        limits = f"more than {MOST_LINES} lines, or {MOST_LETTERS} letters in one"
        raise ConfigError("cannot say", f"{name}: {limits}", "cut it")
    return lines


def _text(path: Path) -> str:
    try:
        data = read_plain(path, MOST_BYTES)
    except OSError as error:
        raise MediaError("cannot read", f"{path}: {reason(error)}", "give a text with what is to be said") from None
    for mark, code in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(code, "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MediaError("cannot read", f"{path}: it is no text in UTF-8", "save it as UTF-8") from None
