"""All kinds of input. Files stand here; what is packed, what is sent as text and what is sent as packets, apart."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutations
import numpy as np
from fuzz import packed, packets, texts
from fuzz.kind import Kind, Reader, by_path, memory

from realtime_dub.errors import EndOfStream, RealtimeDubError

MOST_READ = 40  # frames or blocks: some ways to break a file make it long


def _media(suffix: str) -> Kind:
    return Kind(lambda: [mutations.sample(suffix)], lambda: _media_reader(suffix))


def _media_reader(suffix: str) -> Reader:
    from realtime_dub.clock import VirtualClock
    from realtime_dub.sources.registry import kind_of, open_video
    from realtime_dub.sources.voices import open_voice

    def read(path: Path) -> None:
        name, clock = str(path), VirtualClock()
        open_one = (lambda: open_video(name, clock=clock, live=False),)
        if kind_of(name) != "image":
            open_one += (lambda: open_voice(name, clock=clock, video_path=None, live=False),)
        refusals = [refusal for each in open_one if (refusal := _drain(each)) is not None]
        if len(refusals) == len(open_one):
            raise refusals[0]

    return by_path(suffix, read)


def _drain(open_one: Callable[[], Any]) -> RealtimeDubError | None:
    """Its frames or blocks are read. Gives back why it is refused."""
    try:
        source = open_one()
        try:
            source.open()
            for _ in range(MOST_READ):
                source.read()
        finally:
            source.close()
    except EndOfStream:
        pass
    except RealtimeDubError as error:
        return error
    return None


def _bank() -> Reader:
    from realtime_dub.mouth.mouthbank.bank import Bank

    return lambda data: Bank.read(data, "a.bank")


def _banks() -> list[bytes]:
    """Of a person who was seen once."""
    from faces import tracked_portrait

    from realtime_dub.mouth.mouthbank.bank import Bank

    bank = Bank()
    bank.observe(tracked_portrait())
    with tempfile.TemporaryDirectory() as folder:
        bank.save(Path(folder) / "me.bank")
        return [(Path(folder) / "me.bank").read_bytes()]


def _subtitles() -> Reader:
    from realtime_dub.voice.tts.script import read_script

    return by_path(".srt", read_script)


def _order() -> Reader:
    from realtime_dub.voice.hpm.order import read_order, text_of

    def read(path: Path) -> None:
        order, folder = read_order(str(path))
        text_of(order, folder)

    return by_path(".toml", read)


def _features() -> Reader:
    from realtime_dub.voice.hpm.order import features

    return by_path(".npy", features)


def _landmarks(suffix: str) -> Kind:
    def make() -> Reader:
        from realtime_dub.face.landmark_files import read

        return by_path(suffix, read)

    return Kind(lambda: [_landmark_file(suffix)], make, is_text=suffix == ".csv")


def _landmark_file(suffix: str) -> bytes:
    from test_landmark_files import talking

    from realtime_dub.face.landmark_files import write

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write(path, talking(5))
        return path.read_bytes()


def _spec() -> Reader:
    """As a bundle's folder has it; its network is looked at by whoever runs it."""
    from realtime_dub.inference.bundle import load

    folder = Path(tempfile.mkdtemp(dir=memory()))

    def read(data: bytes) -> None:
        (folder / "spec.json").write_bytes(data)
        load(folder)

    return read


def _specs() -> list[bytes]:
    from realtime_dub.inference.bundle import folder_of

    return [path.read_bytes() for path in sorted(folder_of("").glob("*/bundle*/spec.json"))]


def _checkpoint() -> Reader:
    from engines.common.checkpoint import open_checkpoint

    def read(path: Path) -> None:
        with open_checkpoint(path, True) as checkpoint:
            for tensor in checkpoint.tensors.values():
                np.array(tensor.read())

    return by_path(".pth", read)


def _checkpoints() -> list[bytes]:
    from painters import archive, legacy, tensor

    rows = {"weight": tensor("0", np.ones((3, 2, 5), np.float32)), "count": tensor("1", np.array(12, np.int64))}
    return [way({"state_dict": rows, "epoch": 3}) for way in (archive, legacy)]


def _textgrid() -> Reader:
    from engines.hpm.textgrid import labels_of

    return by_path(".TextGrid", lambda path: labels_of(path, 300))


TEXTGRID = b"""File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.2
            text = "B"
        intervals [2]:
            xmin = 0.2
            xmax = 0.5
            text = "AY1"
"""


def _npy() -> list[bytes]:
    packed = io.BytesIO()
    np.save(packed, np.ones((4, 256), np.float32))
    return [packed.getvalue()]


SRT = b"1\n00:00:01,000 --> 00:00:02,500\n<i>Blue at f</i> two now\n\n2\n00:00:03,000 --> 00:00:04,000\nsoon\n"
ORDER = b'bundle = "b"\ntext = "blue at f two now"\npitch = 1.5\nstart_s = 0.5\nseconds = 3.0\n'
KINDS: dict[str, Kind] = {
    **{suffix[1:]: _media(suffix) for suffix in mutations.SUFFIXES},
    "bank": Kind(_banks, _bank),
    "srt": Kind(lambda: [SRT, b"WEBVTT\n\n" + SRT.replace(b",", b".")], _subtitles, is_text=True),
    "order": Kind(lambda: [ORDER], _order, is_text=True),
    "npy": Kind(_npy, _features),
    "landmarks-npz": _landmarks(".npz"),
    "landmarks-csv": _landmarks(".csv"),
    "spec": Kind(_specs, _spec, is_text=True),
    "checkpoint": Kind(_checkpoints, _checkpoint),
    "textgrid": Kind(lambda: [TEXTGRID], _textgrid, is_text=True),
    **packed.KINDS,
    **texts.KINDS,
    **packets.KINDS,
}
