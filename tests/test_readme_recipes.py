"""Every command of README.md is run as it stands there; devices alone are others, and an end is added.

The commands are read out of README.md: a new one fails here until it is told how it is run, or why it is not.
"""

from __future__ import annotations

import csv
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from pythonosc.osc_bundle import OscBundle
from signed import by_c2pa, changed

from realtime_dub import cli
from realtime_dub.config import LiveConfig
from realtime_dub.media import BLENDSHAPES, Samples
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.publishers.registry import open_publisher
from realtime_dub.sources.demo_voice import DemoVoiceSource
from realtime_dub.sources.registry import kind_of
from realtime_dub.trust.inspection import inspect
from tests.faces import portrait

ROOT = Path(__file__).parent.parent
LIVE_S, FILE_S, FPS = 1.6, 1.2, 25
# What stands for a device that is not here. A sound card is left out: tests/test_pulse.py has one made of software.
DEVICES = {
    "--webcam 0": "--webcam demo",
    "--mic default": "--mic demo",
    "--own-mic default": "--own-mic voice.wav",
    "--to vcam": "--to result.mkv",
    "--to window": "--to result.mkv",
    "--to webrtc": "--to webrtc:0 --to result.mkv",
    " --speaker dub": "",
}
BESIDE = (
    "tests/test_pulse.py, test_mux_failures.py, test_whip_push.py, test_video_url.py and the studio's have real ones"
)


def commands() -> set[str]:
    """Whole command lines, and the options that the table of recipes adds to one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    fenced = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    table = re.findall(r"`([^`\n]+)`", text.partition("### Recipes")[2].partition("\n## ")[0])
    found = [word.replace(r"\|", "|") for word in (*fenced, *inline)]
    return {each for each in found if re.search(r"(^|\| )realtime-dub ", each)} | {
        each for each in table if each.startswith("--")
    } - {"--to", "--mic -"}  # spoken of, no recipes


def voice() -> tuple[Samples, int]:
    source = DemoVoiceSource()
    info = source.open()
    blocks, count = [], 0
    while count < FILE_S * info.rate:
        blocks.append(source.read().samples)
        count += len(blocks[-1])
    source.close()
    return np.concatenate(blocks)[: round(FILE_S * info.rate), 0], info.rate


def at_16k(samples: Samples, rate: int) -> Samples:
    return np.interp(np.arange(0, len(samples) / rate, 1 / 16_000), np.arange(len(samples)) / rate, samples)


def likeness(samples: Samples, rate: int) -> float:
    """How much of the voice's first 0.8 s is somewhere in ``samples``: 1 = it is there and nothing else."""
    heard, said = at_16k(samples, rate), at_16k(*voice())[:12_800]
    size = 1 << 16
    shifted = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    energy = np.convolve(heard**2, np.ones(len(said)), "full")[len(said) - 1 :]
    return float((shifted[: len(heard)] / np.sqrt(energy * (said**2).sum() + 1e-9)).max())


def check_credentials(path: str, seconds: float) -> None:
    """By c2pa's own reader, and by ours: whole, and what is said to be dubbed lies in the film."""
    assert by_c2pa(Path(path))["validation_state"] == "Valid"
    told = inspect(Path(path))
    assert told.state == "untrusted"
    if seconds == FILE_S:  # live, on a busy machine, it may be that no mouth came in time
        assert told.dubbed
        assert changed(by_c2pa(Path(path)))
    assert told.says is not None
    assert told.says.told["exact"] == "yes"
    assert all(0 <= start < end <= seconds + 0.1 for start, end in changed(by_c2pa(Path(path))))


def check_film(path: str, seconds: float, *, speaks: bool = True) -> None:
    """It decodes to its end, is as long as it should be, and has the voice in it."""
    with av.open(path) as film:
        streams = {stream.type: stream for stream in film.streams}
        pictures, sound, last_s = [], [], 0.0
        for frame in film.decode(*streams.values()):
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame.to_ndarray(format="gray"))
                last_s = float(frame.pts * frame.time_base)
            else:
                sound.append(frame.to_ndarray()[0])
        rate = streams["audio"].rate
    check_credentials(path, seconds)
    assert last_s == pytest.approx(seconds - 1 / FPS, abs=0.1)  # a busy machine shows some for longer
    assert len(pictures) >= 5
    assert all(picture.mean() > 20 for picture in pictures)
    samples = np.concatenate(sound)
    assert len(samples) / rate == pytest.approx(seconds, abs=0.1)
    if speaks:
        assert likeness(samples, rate) > 0.8


def check_live(**_: object) -> None:
    check_film("result.mkv", LIVE_S)


def check_table(path: str, seconds: float) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 5
    assert float(rows[-1]["time_s"]) == pytest.approx(seconds - 1 / FPS, abs=0.1)
    assert list(rows[0])[1:] == list(BLENDSHAPES)
    return rows


def check_mouth_table(**_: object) -> None:
    rows = check_table("mouth.csv", FILE_S)
    assert len(rows) == round(FILE_S * FPS)
    assert max(float(row["jawOpen"] or 0) for row in rows) > 0.05


def check_besides(osc: socket.socket, **_: object) -> None:
    check_live()
    check_film("out.mp4", LIVE_S)
    check_table("mouth.csv", LIVE_S)
    osc.settimeout(5)
    got: list[dict[str, float]] = []
    while not got or max(got[-1].values()) > 0:  # until it rests
        messages = list(OscBundle(osc.recv(65_536)))
        got.append({message.params[0]: message.params[1] for message in messages[:-1]})
    assert len(got[0]) == len(BLENDSHAPES)


def check_bank(out: str, **_: object) -> None:
    bank = Bank.load(Path("me.bank"))
    assert bank.mouths
    assert re.search(r"mouths? from \d+ frames", out)


def check_made_voice(**_: object) -> None:
    with wave.open("line.wav") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert len(samples) / file.getframerate() > 0.4
    assert by_c2pa(Path("line.wav"))["validation_state"] == "Valid"
    assert inspect(Path("line.wav")).dubbed
    assert np.abs(samples).max() > 3_000


def check_watched(out: str, **_: object) -> None:
    assert "watch at http://" in out
    check_live()


def check_devices(out: str, **_: object) -> None:
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        "Cameras",
        "Microphones",
        "Speakers",
        "Virtual cameras",
    ]


def check_engines(out: str, **_: object) -> None:
    assert "mouthbank" in out
    assert "passthrough" in out


def check_words(out: str, words: str) -> None:
    assert words in " ".join(out.split())


def check_help(out: str, **_: object) -> None:
    assert "--seconds" in out


# Commands that are run each on its own.
RUN: dict[str, Callable[..., None]] = {
    "realtime-dub --webcam 0 --mic default": check_live,  # into a file: there is no screen
    "realtime-dub devices": check_devices,
    "realtime-dub doctor": lambda out, **_: None,
    "realtime-dub --help": check_help,
    "realtime-dub engines": check_engines,
    "realtime-dub file --help": check_help,
    "realtime-dub --webcam 0 --mic interpreter.wav --to vcam --speaker dub": check_live,
    "realtime-dub --webcam 0 --mic interpreter.wav --own-mic default --to vcam --speaker dub": check_live,
    "tts | realtime-dub --webcam 0 --mic - --pcm-rate 22050 --to vcam": check_live,
    "tts | realtime-dub --webcam 0 --mic - --to vcam": check_live,
    "realtime-dub --webcam 0 --mic default --to webrtc": check_watched,
    "realtime-dub file talk.mp4 --mic voice.wav -o dubbed.mp4": lambda **_: check_film("dubbed.mp4", FILE_S),
    "realtime-dub file me.jpg --mic voice.wav -o talking.mp4": lambda **_: check_film("talking.mp4", FILE_S),
    'realtime-dub voice talk.mp4 --script "good morning" -o line.wav': check_made_voice,
    "realtime-dub file talk.mp4 -o mouth.csv": check_mouth_table,
    "realtime-dub enroll me.mp4 -o me.bank": check_bank,
    "realtime-dub --webcam 0 --mic default --identity me.bank": check_live,
    "realtime-dub consent me.bank": lambda out, **_: check_words(out, "nobody's consent is recorded"),
    "realtime-dub licences": lambda out, **_: check_words(out, "pyvirtualcam"),
    "--webcam talk.mp4 --loop": check_live,
    "--webcam demo --mic demo --to window": check_live,
}
# Options that are added to one run, several at a time, for several work at once.
TOGETHER = {
    ("--to out.mp4", "--to osc://127.0.0.1:39539", "--to mouth.csv", "--face left", "--budget-ms 250"): check_besides,
}
# What needs a server or a sound card: it is read as far as it can be without.
READ = (
    "realtime-dub --webcam 0 --mic default --to webrtc://0.0.0.0:8090",
    "realtime-dub --webcam 0 --mic default --to whips://media.example/live/whip?token=...",
    "--to rtmp://server/app/key",
    "--to srt://server:9000",
    "--to webrtc",
    "--to whip://server/path",
    '--mic "name of the cable"',
    "--webcam rtsp://camera/stream",
    "realtime-dub --webcam 0 --mic default --camera-late 90",
    "--budget-ms 150",  # whether it holds depends on the machine
)
NOT_RUN = {
    "realtime-dub serve": "it runs until it is stopped",
    "realtime-dub inspect dubbed.mp4": "its exit code is its answer: tests/test_credentials.py",
    "realtime-dub sign out.mp4": "of a film that was interrupted: tests/test_credentials_elsewhere.py",
    "realtime-dub file": "names what was measured",
    "realtime-dub avatar --video me.mp4 --mic voice.wav -o out.mp4": "it trains: tests/train/test_avatar_picture.py",
}
LIVE = {
    each
    for each in RUN
    if not re.match("realtime-dub (devices|doctor|engines|file|voice|enroll|consent|licences|--help)", each)
}


def test_every_command_of_the_readme_is_accounted_for() -> None:
    together = {each for group in TOGETHER for each in group}
    assert commands() == {*RUN, *together, *READ, *NOT_RUN}, BESIDE


def write_wav(path: Path) -> None:
    samples, rate = voice()
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = rate
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that README.md speaks of, and a ``tts`` that prints samples."""
    made = tmp_path_factory.mktemp("recipes")
    for name in ("interpreter.wav", "voice.wav"):
        write_wav(made / name)
    cv2.imwrite(str(made / "me.jpg"), portrait())
    film = made / "talk.mp4"
    code = cli.run(shlex.split(f"file demo --mic demo -o '{film}' --engine passthrough --seconds {FILE_S} -q"))
    assert code == 0
    (made / "me.mp4").write_bytes(film.read_bytes())
    assert cli.run(["enroll", str(made / "me.mp4"), "-o", str(made / "me.bank"), "-q"]) == 0
    samples, rate = voice()
    places = np.arange(0, len(samples) / rate, 1 / 22_050)
    spoken = np.interp(places, np.arange(len(samples)) / rate, samples)
    (made / "spoken").write_bytes((spoken * 32767).astype("<i2").tobytes())
    (made / "bin").mkdir()
    write_program(made / "bin" / "tts", 'exec cat "$SPOKEN"')
    write_program(
        made / "bin" / "realtime-dub", f"exec '{sys.executable}' -c 'from realtime_dub.cli import main; main()' \"$@\""
    )
    return made


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(folder)
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        path.unlink()


def with_devices(command: str) -> str:
    """As it stands in README.md, but for the devices."""
    for named, other in DEVICES.items():
        command = re.sub(rf"{re.escape(named)}(?=$| )", other, command)
    return command


def whole(command: str) -> str:
    """An option of the table as a live command with a picture and a voice."""
    if not command.startswith("--"):
        return command
    given = "" if "--webcam" in command else "--webcam 0 "
    return f"realtime-dub {given}" + ("" if "--mic" in command else "--mic default ") + command


def live(command: str) -> str:
    command = with_devices(whole(command))
    if "result.mkv" not in command:
        command += " --to result.mkv"
    return f"{command} --seconds {LIVE_S} -q"


@pytest.mark.parametrize("command", RUN)
def test_a_recipe_works_as_written(command: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = live(command) if command in LIVE else command
    if "|" in line:
        spoken = "spoken" if "--pcm-rate" in command else "voice.wav"
        path = {"SPOKEN": f"{here}/{spoken}", "PATH": f"{here}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        code = subprocess.run(["sh", "-c", line], env=os.environ | path, check=False).returncode
    else:
        code = cli.run(shlex.split(line)[1:])
    out, err = capfd.readouterr()
    if command != "realtime-dub doctor":  # it finds that there is no camera here
        assert (code, err) == (0, "")
    RUN[command](out=out)


@pytest.mark.parametrize("options", TOGETHER)
def test_recipes_work_together(options: tuple[str, ...], here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as osc:
        osc.bind(("127.0.0.1", 0))
        line = live(" ".join(options)).replace(":39539", f":{osc.getsockname()[1]}")
        assert cli.run(shlex.split(line)[1:]) == 0
        TOGETHER[options](osc=osc)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("command", READ)
def test_what_needs_others_is_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime_dub.pipeline.live import run as live_run
    from realtime_dub.pipeline.statistics import Recorder, Report

    seen: list[LiveConfig] = []

    def run_live(config: LiveConfig) -> Report:
        seen.append(config)
        return Recorder().report()

    monkeypatch.setattr(live_run, "run_live", run_live)
    assert cli.run([*shlex.split(whole(command))[1:], "-q"]) == 0
    (config,) = seen
    for spec in config.to:
        open_publisher(spec).close()
    assert kind_of(config.webcam) == ("url" if "rtsp" in command else "webcam")
    assert config.camera_late_ms == (90 if "late" in command else 0)
    assert config.budget_ms == (150 if "150" in command else None)
