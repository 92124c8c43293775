"""What a session's options name: where its frames and its voice come from, opened when a run begins."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

from realtime_dub.clock import Clock
from realtime_dub.sources.base import VideoSource, VoiceSource
from realtime_dub.sources.registry import open_video
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.browser_sources import BrowserVideo, BrowserVoice
from realtime_dub.web.studio.avatar_video import AvatarChoice, AvatarVideo
from realtime_dub.web.studio.avatars import KeptAvatars
from realtime_dub.web.studio.file_voice import FileVoice, Playback
from realtime_dub.web.studio.offered import server_voice
from realtime_dub.web.studio.room import Rooms
from realtime_dub.web.studio.uploads import KeptUploads

CAMERA_FPS = Fraction(25)


class ChosenSources:
    """One session's. ``input`` is what its browser sends. On the server's loop."""

    def __init__(
        self,
        config: ServeConfig,
        uploads: KeptUploads,
        avatars: KeptAvatars,
        rooms: Rooms,
        input: BrowserInput,
        clock: Clock,
    ) -> None:
        self._config, self._uploads, self._rooms, self._clock = config, uploads, rooms, clock
        self._avatars = avatars
        self._input = input
        self._played: tuple[str, Playback] | None = None  # the upload that is the voice, and where it is

    def check(self, options: SessionOptions) -> None:
        """Raises Refusal where something that is named is not there."""
        kind, _, name = options.voice.partition(":")
        if kind == "upload":
            self._uploads.find(name, "sound")
        if kind == "server" and self._config.server_mic is None:
            raise Refusal(409, "This server offers no microphone.", "Start it with --server-mic.")
        kind, _, name = options.picture.partition(":")
        if kind == "upload":
            self._uploads.find(name, "picture")
        self.avatar(options)

    def video(self, options: SessionOptions) -> Callable[[], VideoSource]:
        """Raises Refusal."""
        kind, _, name = options.picture.partition(":")
        if kind == "camera":
            return partial(BrowserVideo, self._input, CAMERA_FPS)
        if (avatar := self.avatar(options)) is not None:
            return partial(AvatarVideo, avatar, self._config.fps, self._clock)
        path = str(self._uploads.find(name, "picture"))
        return partial(open_video, path, clock=self._clock, live=True, fps=self._config.fps)

    def avatar(self, options: SessionOptions) -> AvatarChoice | None:
        """Of the avatar that is the picture, if one is. Raises Refusal."""
        if options.avatar is None:
            return None
        kind, _, name = options.background.partition(":")
        behind = {"recorded": None, "none": "black"}.get(kind, kind)
        if kind == "upload":
            behind = str(self._uploads.find(name, "picture"))
        side = options.side and min(options.side, self._config.picture_height)
        return AvatarChoice(self._avatars, options.avatar, behind, options.head, side)

    def voice(self, options: SessionOptions) -> Callable[[], VoiceSource]:
        """Raises Refusal."""
        kind, _, name = options.voice.partition(":")
        if kind == "mic":
            return partial(BrowserVoice, self._input)
        if kind == "room":
            return partial(BrowserVoice, self._rooms.voice(options.voice))
        if kind == "none":
            return partial(BrowserVoice, BrowserInput(self._clock))  # nothing ever comes: silence
        if kind == "upload":
            return self._file_voice(name)
        return partial(server_voice, self._config.server_mic or "", self._clock)

    def own_voice(self, options: SessionOptions) -> Callable[[], VoiceSource] | None:
        """The person's own, beside another's, where it is to be learnt from."""
        return partial(BrowserVoice, self._input) if options.learns_from_mic else None

    def playback(self, options: SessionOptions) -> Playback | None:
        """Of the file that is the voice, where it is one."""
        return self._played[1] if self._played and options.voice == f"upload:{self._played[0]}" else None

    def remove(self, options: SessionOptions) -> None:
        """What was uploaded for this session. Blocking."""
        for choice in options.files:
            kind, _, name = choice.partition(":")
            if kind == "upload":
                self._uploads.remove(name)

    def _file_voice(self, name: str) -> Callable[[], VoiceSource]:
        path = self._uploads.find(name, "sound")
        if self._played is None or self._played[0] != name:
            self._played = name, Playback(self._clock, self._uploads.length_ns(name))
        return partial(FileVoice, path, self._played[1], self._clock)
