"""``realtime-dub voice``: a script said along a film's lips, as a file or by the film's own mouth."""

from __future__ import annotations

import io
import tempfile
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np

from realtime_dub.config import FileConfig, Signing, VoiceConfig, build
from realtime_dub.errors import ConfigError
from realtime_dub.media import AudioBlock
from realtime_dub.paths import Use, WholeFile, refuse_clashes
from realtime_dub.pipeline.credentials import Credentials
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.pipeline.file.script_voice import Progress, see
from realtime_dub.pipeline.marking import payload_of_today, sound_marker
from realtime_dub.voice.contract import Line, MadeVoice, Wish
from realtime_dub.voice.registry import script_speaker
from realtime_dub.voice.sample import sample_of
from realtime_dub.voice.tts.script import lines_of, read_subtitles

LOUDEST = 0.99


def run_voice(config: VoiceConfig, progress: Progress) -> list[str]:
    """``realtime-dub voice``: what the user should know of the voice that was written. Raises UserError."""
    reads = [(config.input, "INPUT"), (config.subtitles, "--subtitles"), (config.speaker, "--speaker")]
    refuse_clashes([Use(config.output, "-o")], [Use(path, option) for path, option in reads if path is not None])
    lines, credentials, notes = _lines(config), Credentials(config.signing), list[str]()
    speak = script_speaker(config.engine)
    film = config.output.suffix.lower() in (".mp4", ".mkv")
    file = None if film else _wave_file(config.output)
    wish = Wish(config.language, *sample_of(config.speaker), config.speaker_id, config.emotion)
    made = speak(lines, see(config.input, config.face, config.video_stream, progress), wish)
    if file is not None:
        said = marked(made) if config.marks == "on" else made
        file.write(credentials.sealed_voice(wave_of(said), config.engine, notes.append))
        return [*made.notes, *notes]
    return [*made.notes, *_spoken_by_film(config, made, progress)]


def marked(made: MadeVoice) -> MadeVoice:
    """With the mark of a voice that is made, as a film that says it would have it."""
    block = AudioBlock(made.samples.astype(np.float32)[:, None], made.rate, 0)
    return replace(made, samples=sound_marker(payload_of_today(), made.rate).block(block).samples[:, 0])


def wave_of(made: MadeVoice) -> bytes:
    """A WAV of 16 bits."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(made.rate)
        file.writeframes((np.clip(made.samples, -LOUDEST, LOUDEST) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def _spoken_by_film(config: VoiceConfig, made: MadeVoice, progress: Progress) -> list[str]:
    """The film with its own mouth speaking the voice."""
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        voice = Path(folder) / "voice.wav"
        voice.write_bytes(wave_of(made))
        values = {"input": config.input, "mic": str(voice), "output": config.output, "face": config.face}
        options = {"extend": True, "video_stream": config.video_stream, "quiet": config.quiet}
        options |= {"marks": config.marks} | {name: getattr(config, name) for name in Signing.model_fields}
        return list(run_file(build(FileConfig, **values, **options), progress).notes)


def _lines(config: VoiceConfig) -> list[Line]:
    if (config.script is None) == (config.subtitles is None):
        raise ConfigError("give", "one of --script and --subtitles", "one says what, the other also when")
    if config.subtitles is not None:
        return read_subtitles(config.subtitles)
    return lines_of(config.script or "", "--script")


def _wave_file(path: Path) -> WholeFile:
    if path.suffix.lower() != ".wav":
        raise ConfigError("cannot write a voice into", repr(str(path)), "give a .wav, or an .mp4 or .mkv for the film")
    return WholeFile(path)
