"""The command that makes a voice for a film."""

from __future__ import annotations

from realtime_dub.cli.credential_options import Credentials, SignCert, SignerUrl, SignKey, Tsa
from realtime_dub.cli.file_options import (
    FileInput,
    FileSpeaker,
    VoiceEmotion,
    VoiceEngine,
    VoiceLanguage,
    VoiceOutput,
    VoiceScript,
    VoiceSubtitles,
)
from realtime_dub.cli.options import Face, Marks, Quiet, SpeakerId, VideoStream
from realtime_dub.cli.output import ProgressBar
from realtime_dub.terminal import console


def make_voice(
    input: FileInput,
    output: VoiceOutput,
    script: VoiceScript = None,
    subtitles: VoiceSubtitles = None,
    speaker: FileSpeaker = None,
    speaker_id: SpeakerId = None,
    emotion: VoiceEmotion = None,
    language: VoiceLanguage = None,
    engine: VoiceEngine = "tts",
    face: Face = "largest",
    video_stream: VideoStream = None,
    marks: Marks = "on",
    credentials: Credentials = "on",
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    signer: SignerUrl = None,
    tsa: Tsa = None,
    quiet: Quiet = False,
) -> None:
    """Say a script with a voice whose timing follows a film's lips."""
    given = locals()
    from realtime_dub.config import VoiceConfig, build

    config = build(VoiceConfig, **given)
    from realtime_dub.pipeline.file.scripted import run_voice

    with ProgressBar("speaking", quiet) as progress:
        notes = run_voice(config, progress)
    if not quiet:
        for note in notes:
            console().print(note, markup=False, highlight=False, soft_wrap=True)
