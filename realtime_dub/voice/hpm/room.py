"""``from-video:hpm:FILE``: a line said by the face that is seen, each mel frame at its place in the video."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from realtime_dub.errors import ConfigError, EndOfStream, MediaError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.inference.bundle import load
from realtime_dub.media import NS, AudioBlock, Floats, VoiceInfo, ns_to_samples, samples_to_ns
from realtime_dub.voice.hpm.features import LIP_VALUES
from realtime_dub.voice.hpm.order import features, read_order, speaker_of, text_of
from realtime_dub.voice.hpm.phonemes import phonemes_of
from realtime_dub.voice.hpm.rules import look_of
from realtime_dub.voice.hpm.speaking import MelMaker, Seen, in_mood, shown
from realtime_dub.voice.hpm.vocoders import vocoder_named


class HpmVoice:
    """A ``VoiceFromVideo``: silence, but for the order's stretch of the film, which is spoken as a whole.

    A network wants its stretch's frames at its own rate: films of other rates are read in between. What is heard at an
    instant is known when the stretch has been seen: live budgets cannot hold that, and say so.
    """

    def __init__(self, argument: str) -> None:
        self._argument = argument
        self._changed = threading.Condition()
        self._times: list[int] = []  # of all frames
        self._seen: list[tuple[int, Floats]] = []  # faces of the stretch
        self._looks: list[Floats] = []  # of the whole frames, likewise
        self._until_ns = 0  # end of the last frame
        self._given = 0  # samples
        self._spoken: Floats | None = None
        self._ended = self._closed = False

    def open(self) -> VoiceInfo:
        self._order, self._folder = read_order(self._argument)
        order = self._order
        self._maker = MelMaker(load(self._folder / order.bundle))
        self._vocoder = vocoder_named(order.vocoder, self._folder, self._maker.spec)
        self._rate = round(self._maker.played_rate)
        spec = self._maker.spec
        if order.phonemes is None:
            names = phonemes_of(text_of(order, self._folder), spec.phonemes, order.language)
        else:
            names = order.phonemes.split()
        if not names:
            raise ConfigError("nothing to speak:", "no phonemes", "write some")
        self._phonemes = self._maker.numbers(names)
        self._mood = None if order.emotion is None else self._maker.mood(order.emotion)
        self._speaker = speaker_of(None if order.speaker is None else self._folder / order.speaker, self._maker)
        if order.lips is None and self._maker.lips != LIP_VALUES:
            do = "give lips = FILE.npy of its lip encoder"
            raise ConfigError("cannot show our lips to", f"{spec.name}, which wants {self._maker.lips} values", do)
        self._start_ns, self._length_ns = round(order.start_s * NS), round(order.seconds * NS)
        most_s = spec.most_frames / spec.frame_rate
        if order.seconds > most_s:
            raise ConfigError("cannot speak", f"{order.seconds:g} s at once", f"give seconds = {most_s:g} or less")
        return VoiceInfo(self._rate, 1, True, f"{spec.name} for the film", self._length_ns)

    def watch(self, tracked: TrackedFrame) -> None:
        frame = tracked.frame
        with self._changed:
            self._times.append(frame.pts_ns)
            last_ns = frame.duration_ns or (np.diff(self._times[-2:]).tolist() or [NS // 25])[0]
            self._until_ns = frame.pts_ns + last_ns
            if tracked.face is not None and self._from_ns <= frame.pts_ns < self._from_ns + self._length_ns:
                self._seen.append((frame.pts_ns, tracked.face.canonical))
                if self._maker.spec.scene == "rule":
                    self._looks.append(look_of(frame.image))
            del self._times[1:-1]
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def read(self) -> AudioBlock:
        with self._changed:
            self._changed.wait_for(lambda: self._ready() or self._ended or self._closed)
            if self._closed or not self._ready():
                raise EndOfStream
            zero_ns, ready, until_ns = self._times[0], self._ready(), self._until_ns
        first = self._given
        if self._spoken is None and first >= self._at(self._start_ns):
            length_ns = min(self._length_ns, until_ns - zero_ns - self._start_ns)
            self._spoken = self._speak(zero_ns + self._start_ns, length_ns)
        made = self._said(first, first + ready)
        self._given += len(made)
        return AudioBlock(made[:, None], self._rate, zero_ns + samples_to_ns(first, self._rate))

    @property
    def _from_ns(self) -> int:
        return self._times[0] + self._start_ns

    def _at(self, media_ns: int) -> int:
        return ns_to_samples(media_ns, self._rate)

    def _ready(self) -> int:
        """Samples that can be given now."""
        if not self._times:
            return 0
        known = self._at(self._until_ns - self._times[0])
        start, end = self._at(self._start_ns), self._at(self._start_ns + self._length_ns)
        if self._given < start:
            return min(known, start) - self._given
        if self._spoken is None and known < end and not self._ended:
            return 0
        return known - self._given

    def _said(self, first: int, end: int) -> Floats:
        """Samples of the film's time: the line where it belongs, silence around it."""
        made = np.zeros(end - first, np.float32)
        if self._spoken is not None:
            start = self._at(self._start_ns)
            a, b = max(first, start), min(end, start + len(self._spoken))
            if a < b:
                made[a - first : b - first] = self._spoken[a - start : b - start]
        return made

    def _speak(self, from_ns: int, length_ns: int) -> Floats:
        """The line's samples. Raises UserError."""
        count = max(1, round(length_ns * self._maker.spec.frame_rate / NS))
        order, at = self._order, self._folder
        seen = (
            self._shown(from_ns, count)
            if order.lips is None
            else Seen(features(at / order.lips)[:count], self._speaker)
        )
        if len(seen.lips) < count:
            what = f"{count} frames with features of {len(seen.lips)}"
            raise ConfigError("cannot speak", what, "make them of this film")
        if order.face is not None:
            seen = replace(seen, face=features(at / order.face)[:count])
        if order.scene is not None:
            seen = replace(seen, scene=features(at / order.scene))
        seen = seen if self._mood is None else in_mood(seen, self._mood)
        mel = self._maker.mel(self._phonemes, seen, order.pitch, order.energy)
        return self._vocoder.sound(mel)

    def _shown(self, from_ns: int, count: int) -> Seen:
        with self._changed:
            seen, looks = list(self._seen), list(self._looks)
        if not seen:
            raise MediaError("no lips to speak with:", "there is no face in this stretch", "choose start_s and seconds")
        times = np.array([pts_ns - from_ns for pts_ns, _ in seen]) / NS
        wanted = np.arange(count) / self._maker.spec.frame_rate
        faces = np.stack([face for _, face in seen])
        return shown(self._maker.spec, times, faces, wanted, self._speaker, np.stack(looks) if looks else None)
