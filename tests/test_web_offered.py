"""What a server offers its visitors is looked for before it starts, as what a live run names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_avatars import toy_avatar

from realtime_dub.config import build
from realtime_dub.errors import ConfigError, MediaError, UserError
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.studio.offered import check_offers
from tests.patience import PATIENCE_S
from tests.pulse import PrivatePulse
from tests.sound_files import buzz, wav

# A worker that loads, Ctrl-C for all of the program while it does, and what the worker said of it.
INTERRUPTED = """
import asyncio, os, signal, sys
from realtime_dub.web.workers.spare import MODULE, start
signal.signal(signal.SIGINT, lambda *_: None)

async def main():
    process, end = await start(MODULE)
    for _ in range(20):
        await asyncio.sleep(0.02)
        os.killpg(0, signal.SIGINT)
    assert process.returncode is None
    end.close()
    process.kill()
    await process.wait()

asyncio.run(main())
"""


def serve(*options: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "realtime_dub", "serve", "--port", "0", *options]
    env = {**env, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_a_microphone_that_is_not_there_is_told_at_once_with_those_that_are(pulse: PrivatePulse) -> None:
    ended = serve("--server-mic", "nix", env=pulse.environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: no file or microphone is called 'nix'; ")
    assert "'stage.monitor'" in line


def test_a_microphone_that_is_there_may_be_offered(pulse: PrivatePulse) -> None:
    look = "from realtime_dub.web.studio.offered import *; check_offers(ServeConfig(server_mic='stage.monitor'))"
    env = {**pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", look], env=env, check=True, timeout=PATIENCE_S)


def test_a_file_may_be_offered_if_it_has_sound(tmp_path: Path) -> None:
    voice, text = tmp_path / "voice.wav", tmp_path / "voice.txt"
    voice.write_bytes(wav(buzz(16_000, 0.2)[:, None], 16_000))
    text.write_text("hello")
    check_offers(ServeConfig(server_mic=str(voice)))
    check_offers(ServeConfig(server_mic="demo"))
    with pytest.raises(MediaError, match=r"voice\.txt: .*; choose a file with sound"):
        check_offers(ServeConfig(server_mic=str(text)))


@pytest.mark.parametrize("name", ["-", "video"])
def test_what_a_server_has_not_is_no_microphone(name: str) -> None:
    with pytest.raises(ConfigError, match=r"server_mic = .*; name a microphone, an audio file, or demo"):
        build(ServeConfig, server_mic=name)


def test_a_folder_without_avatars_is_not_offered(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for folder, why in ((tmp_path / "nix", "it is no folder"), (tmp_path, "no folder in it is a trained avatar")):
        with pytest.raises(UserError, match=f"cannot use --avatars .*{why}; name a folder that has avatars in it"):
            check_offers(ServeConfig(avatars=folder))
    toy_avatar(tmp_path / "me.avatar")
    check_offers(ServeConfig(avatars=tmp_path))


def test_ctrl_c_while_a_worker_loads_leaves_no_traceback() -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=True, start_new_session=True,
    )  # fmt: skip
    assert ended.stderr == ""
