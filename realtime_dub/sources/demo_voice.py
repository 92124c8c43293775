"""The speech that comes with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from realtime_dub.sources.audio_file import AudioFileSource

ASSET = "demo_voice.opus"


class DemoVoiceSource(AudioFileSource):
    """Thirteen seconds of a synthetic voice, 48 kHz mono. See ``assets/README.md``."""

    def __init__(self, loop: bool = False) -> None:
        with as_file(files("realtime_dub") / "assets" / ASSET) as path:
            super().__init__(Path(path), loop)
