"""What whoever starts a server offers its visitors, looked for before it starts: nobody else would tell them."""

from __future__ import annotations

from pathlib import Path

from realtime_dub.clock import Clock, MonotonicClock
from realtime_dub.errors import ConfigError
from realtime_dub.sources.base import VoiceSource
from realtime_dub.sources.voices import is_microphone, open_voice
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.studio.avatars import whole_in


def check_offers(config: ServeConfig) -> None:
    """Raises UserError for a microphone or a folder of avatars that is not there. Blocking."""
    if config.server_mic is not None:
        _check_voice(config.server_mic)
    if config.avatars is not None:
        _check_avatars(config.avatars)


def server_voice(device: str, clock: Clock) -> VoiceSource:
    """``--server-mic``, still to be opened. Raises UserError."""
    return open_voice(device, clock=clock, video_path=None, live=True, loop=True)


def _check_voice(device: str) -> None:
    """A microphone is only looked for: another program may have it until somebody speaks here."""
    source = server_voice(device, MonotonicClock())
    if not is_microphone(device):
        source.open()
        source.close()


def _check_avatars(folder: Path) -> None:
    do = "name a folder that has avatars in it"
    if not folder.is_dir():
        raise ConfigError("cannot use --avatars", f"{folder}: it is no folder", do)
    if not whole_in(folder):
        raise ConfigError("cannot use --avatars", f"{folder}: no folder in it is a trained avatar", do)
