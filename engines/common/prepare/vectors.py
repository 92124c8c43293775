"""What the Whisper encoder hears of every track of a prepared folder (``engines/common/speech/whisper.py``).

``vectors/NAME.npy`` (ceil(n / 320), 512) float16, 50 a second. Of tracks that were never aligned ``mel/NAME.npy`` and
``speech/NAME.npy`` are written besides, so that a net can learn to hear what the encoder hears of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engines.common.dataset import Dataset, Entry
from engines.common.prepare.clip import write_whole
from engines.common.prepare.phones import npy, write_power
from engines.common.prepare.speech import speech_activity
from engines.common.speech.whisper import Listener
from realtime_dub.audio.frontends.logmel import LogMelSpec


def add_vectors(out: Path, spec: LogMelSpec, step: Callable[[], None] = lambda: None) -> int:
    """Listen to the tracks of a folder whose sound is new since they were listened to; returns how many there are."""
    dataset = Dataset(out)
    missing = [entry for entry in dataset.entries if not _known(entry)]
    listener = Listener() if missing else None
    for entry in missing:
        assert listener is not None
        sound = dataset.audio(entry)
        if not entry.file("mel", ".npy").exists():
            write_power(out, entry.track, sound, spec)
        if not entry.file("speech", ".npy").exists():
            write_whole(entry.file("speech", ".npy"), npy(speech_activity(sound)))
        write_whole(entry.file("vectors", ".npy"), npy(listener.hear(sound)))
        step()
    return len(dataset.entries)


def _known(entry: Entry) -> bool:
    """The sound of a filmed track is written anew when others come to the folder, and is listened to anew."""
    vectors, sound = entry.file("vectors", ".npy"), entry.file("sound", ".wav")
    return vectors.exists() and vectors.stat().st_mtime >= sound.stat().st_mtime
