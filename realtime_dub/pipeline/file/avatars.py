"""Sees to it that there is an avatar of a recording: the training kit makes it, as a program of its own.

The kit is no part of what runs live, which never imports it; training goes on where it was stopped.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig
from realtime_dub.errors import ConfigError, DependencyError, MediaError
from realtime_dub.paths import WholeFile, reason
from realtime_dub.pipeline import assembly
from realtime_dub.sources.avatars import ABOUT, is_avatar

TRAINER = "engines.common.train_engine"
NEEDS = "torch"
RUN = "config.json"  # of a training that was begun
MADE = Path("picture") / "spec.json"  # is there when it is over


def ensure(video: Path, folder: Path, config: FileConfig) -> None:
    """Make the avatar of ``video`` in ``folder`` unless it is there. ``config``: what it is to be used for then.

    Raises ConfigError where it is of another recording, or could not be made; MediaError for what cannot be read or
    written; DependencyError where training is not installed.
    """
    digest = _digest(video)
    if is_avatar(str(folder)) and _recording(folder) != digest:
        what = f"{folder}: it is of another recording, or {video} was changed since"
        raise ConfigError("cannot use", what, "give another --avatar, or the recording that it was made of")
    if not (folder / MADE).is_file():
        _check(config)
        _train(video, folder)


def _check(config: FileConfig) -> None:
    """What would be found wrong behind an hour of training."""
    if find_spec(NEEDS) is None:
        raise DependencyError(
            "cannot train an avatar:", f"{NEEDS} is missing", 'run: pip install "realtime-dub[train]"'
        )
    assembly.open_publisher(str(config.output), clock=VirtualClock(), live=False)
    WholeFile(config.output)
    if config.mic != "-":
        options = assembly.voice_options(config)
        voice = assembly.open_voice(
            config.mic, clock=VirtualClock(), video_path=None, loop=False, live=False, **options
        )
        voice.open()
        voice.close()


def _train(video: Path, folder: Path) -> None:
    go_on = ["--resume"] if (folder / RUN).is_file() else []
    command = [sys.executable, "-m", TRAINER, "avatar", "--video", str(video), "--out", str(folder), *go_on]
    code = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
    if code or not (folder / MADE).is_file():
        raise ConfigError("no avatar was made of", f"{video}: train-engine ended with {code}", "see what it says above")


def _digest(video: Path) -> str:
    try:
        with video.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError("cannot read", f"{video}: {reason(error)}", "name a film of one person") from None


def _recording(folder: Path) -> str:
    """The hash of what an avatar was made of; empty where its file does not say."""
    try:
        return str(json.loads((folder / ABOUT).read_text("utf-8"))["recording"]["sha256"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
