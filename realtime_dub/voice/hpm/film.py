"""A script said along a film's lips by the networks that come with engine ``hpm``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.inference.bundle import load_default
from realtime_dub.inference.spec import SpeechSpec
from realtime_dub.media import Floats
from realtime_dub.voice.contract import Line, MadeVoice, SeenFilm, Wish
from realtime_dub.voice.hpm.order import speaker_in
from realtime_dub.voice.hpm.phonemes import phonemes_of
from realtime_dub.voice.hpm.speaking import MelMaker, Seen, SoundMaker, in_mood, shown
from realtime_dub.voice.hpm.vocoders import usual_vocoder
from realtime_dub.voice.tts.script import language_of

ENGINE = "hpm"
LEAST_S = 0.2  # of a line's time
MOST_PER_S = 25  # phonemes: quicker is not understood


def speak(lines: Sequence[Line], film: SeenFilm, wish: Wish) -> MadeVoice:
    """A ``ScriptSpeaker``. Raises DependencyError without espeak-ng, ConfigError for what it cannot do."""
    if wish.speaker_id is not None:
        raise ConfigError("the voice hpm takes no", "--speaker-id", "leave it out")
    if not film.length_s:
        raise ConfigError("no lips to speak with:", "a photograph has none that move", "say --engine tts")
    return say(lines, film, wish, MelMaker(load_default(ENGINE)))


def say(
    lines: Sequence[Line], film: SeenFilm, wish: Wish, maker: MelMaker, vocoder: SoundMaker | None = None
) -> MadeVoice:
    """The film's voice by these networks; ``vocoder``: instead of the usual one."""
    vocoder = vocoder or usual_vocoder(maker.spec)
    (speaker, notes), rate = _speaker(wish, maker), round(maker.played_rate)
    mood = None if wish.emotion is None else maker.mood(wish.emotion)
    track = np.zeros(round(film.length_s * rate), np.float32)
    for number, (text, start_s, end_s) in enumerate(_stretches(lines, film.length_s, maker.spec), 1):
        line = f"line {number} ({text[:30]!r})"
        if end_s - start_s < LEAST_S:
            notes.append(f"{line} is not said: its time is over before it begins")
            continue
        names = phonemes_of(text, maker.spec.phonemes, language_of(text, wish.language))
        if len(names) > MOST_PER_S * (end_s - start_s):
            notes.append(f"{line} is too long for its {end_s - start_s:.1f} s: it is hard to hear")
        seen = _seen(film, start_s, end_s, maker.spec, speaker)
        if mood is not None:
            seen = in_mood(seen, mood)
        sound = vocoder.sound(maker.mel(maker.numbers(names), seen))
        at = round(start_s * rate)
        track[at : at + len(sound)] = sound[: len(track) - at]
    return MadeVoice(track, rate, tuple(notes))


def _speaker(wish: Wish, maker: MelMaker) -> tuple[Floats, list[str]]:
    """Who speaks (256,), and what the user should know of it. Raises MediaError for a sample that is too short."""
    if wish.sample is None:
        return maker.usual, []
    if maker.spec.speakers == 1:
        return maker.usual, [f"--speaker changes nothing: {maker.spec.name} has learnt one voice"]
    return speaker_in(wish.sample, wish.sample_rate, maker.spec), []


def _stretches(lines: Sequence[Line], length_s: float, spec: SpeechSpec) -> Iterator[tuple[str, float, float]]:
    """What is said from when to when, one after the other. Raises ConfigError for more than the network can take."""
    if lines[0].start_s is None:
        lines = [Line(" ".join(line.text for line in lines), 0.0, length_s)]
    most_s, before_s = spec.most_frames / spec.frame_rate, 0.0
    for line in lines:
        start_s, end_s = max(line.start_s or 0.0, before_s), min(line.end_s or length_s, length_s)
        if end_s - start_s > most_s:
            do = f"give --subtitles with times of {most_s:g} s or less"
            raise ConfigError("cannot speak", f"{end_s - start_s:.1f} s at once", do)
        yield line.text, start_s, end_s
        before_s = max(before_s, end_s)


def _seen(film: SeenFilm, start_s: float, end_s: float, spec: SpeechSpec, speaker: Floats) -> Seen:
    """What the network is shown of a stretch, at its own frames. Raises MediaError where no face is seen."""
    seen = [(at, face) for at, face in zip(film.times_s, film.faces, strict=True) if face and start_s <= at < end_s]
    if not seen:
        raise MediaError("no lips to speak with:", f"no face from {start_s:.1f} to {end_s:.1f} s", "change the times")
    fps = spec.frame_rate
    wanted_s = start_s + np.arange(max(1, round((end_s - start_s) * fps))) / fps
    times_s, canonical = np.array([at for at, _ in seen]), np.stack([face.canonical for _, face in seen])
    there = (film.times_s >= start_s) & (film.times_s < end_s)
    return shown(spec, times_s, canonical, wanted_s, speaker, None if film.looks is None else film.looks[there])
