"""Blendshape weights from motion, and their way out: a table, and OSC to a real socket."""

from __future__ import annotations

import csv
import socket
from pathlib import Path

import numpy as np
import pytest
from live_helpers import PuppetGenerator, live
from media_files import grid, output_format, publish, ticks
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from realtime_dub.config import FileConfig
from realtime_dub.errors import ConfigError, DeviceError, MediaError
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import BLENDSHAPES, MS, NS, Tick
from realtime_dub.mouth.blendshapes import BlendshapeSolver
from realtime_dub.mouth.contract import GivesBlendshapes, MouthPatch, blendshapes_of
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.passthrough import PassthroughGenerator
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.publishers.osc import OscPublisher
from realtime_dub.publishers.registry import open_publisher

pytestmark = pytest.mark.computes

SOLVER = BlendshapeSolver()


def weights_for(displacement: np.ndarray) -> dict[str, float]:
    return SOLVER.named(displacement.astype(np.float32))


def test_all_of_arkits_mouth_and_jaw() -> None:
    assert len(BLENDSHAPES) == len(set(BLENDSHAPES)) == 27
    assert SOLVER.shapes.shape == (27, len(LOWER), 3)


def test_rest_is_zero() -> None:
    assert set(weights_for(np.zeros((len(LOWER), 3))).values()) == {0.0}


@pytest.mark.parametrize("name", BLENDSHAPES)
def test_each_shape_is_found_in_itself(name: str) -> None:
    found = weights_for(0.5 * SOLVER.shapes[BLENDSHAPES.index(name)])
    assert max(found, key=lambda each: found[each]) == name
    assert 0.3 < found[name] <= 0.55
    assert sorted(found.values())[-2] < 0.2


def test_weights_are_bounded_and_rise_with_the_motion() -> None:
    shape = SOLVER.shapes[BLENDSHAPES.index("jawOpen")]
    found = [weights_for(amount * shape)["jawOpen"] for amount in (0.1, 0.3, 0.6, 1.0, 5.0)]
    assert found == sorted(found)
    assert found[-1] == 1.0
    noise = np.random.default_rng(0).normal(0, 0.3, (len(LOWER), 3))
    assert all(0 <= value <= 1 for value in weights_for(noise).values())


def test_left_and_right_are_the_persons_own() -> None:
    corner = TEMPLATE[LOWER, 0] > 0.3  # the picture's right: the person's left
    displacement = np.zeros((len(LOWER), 3))
    lips = corner & (np.abs(TEMPLATE[LOWER, 1] - TEMPLATE[291, 1]) < 0.2)
    displacement[lips] = [0.12, -0.15, 0.05]
    found = weights_for(displacement)
    assert found["mouthSmileLeft"] > 0.2
    assert found["mouthSmileRight"] < 0.05


def test_a_motion_mirrored_gives_the_weights_mirrored() -> None:
    left = SOLVER.shapes[BLENDSHAPES.index("mouthStretchLeft")]
    right = SOLVER.shapes[BLENDSHAPES.index("mouthStretchRight")]
    found, other = weights_for(0.4 * left), weights_for(0.4 * right)
    assert found["mouthStretchLeft"] == pytest.approx(other["mouthStretchRight"], abs=0.02)


def test_generators_say_whether_they_have_any() -> None:
    generator = MouthbankGenerator()
    assert isinstance(generator, GivesBlendshapes)
    assert blendshapes_of(generator) == dict.fromkeys(BLENDSHAPES, 0.0)
    assert blendshapes_of(PassthroughGenerator()) is None


def some_ticks() -> list[Tick]:
    fmt = output_format()
    given = ticks(fmt, grid(3, fmt.fps))
    shapes = [dict.fromkeys(BLENDSHAPES, 0.25), None, dict.fromkeys(BLENDSHAPES, 1.0)]
    parts = zip(given, shapes, strict=True)
    return [Tick(t.image, t.pts_ns, t.duration_ns, t.seq, t.audio, weights) for t, weights in parts]


def test_a_table_has_a_row_per_tick(tmp_path: Path) -> None:
    path = tmp_path / "mouth.csv"
    publish(open_publisher(str(path)), output_format(), some_ticks())
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["time_s"]) for row in rows] == pytest.approx([tick.pts_ns / 1e9 for tick in some_ticks()])
    assert rows[0]["jawOpen"] == "0.2500"
    assert set(rows[1].values()) == {rows[1]["time_s"], ""}
    assert list(rows[0])[1:] == list(BLENDSHAPES)


def test_a_table_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cannot write .*nowhere"):
        open_publisher(str(tmp_path / "nowhere" / "mouth.csv")).open(output_format())


def received(listener: socket.socket) -> dict[str, float]:
    """Weights by name of one datagram, which is a bundle with Apply as its last message."""
    listener.settimeout(5)
    messages = list(OscBundle(listener.recv(65_536)))
    assert all(isinstance(message, OscMessage) for message in messages)
    assert [message.address for message in messages] == ["/VMC/Ext/Blend/Val"] * 27 + ["/VMC/Ext/Blend/Apply"]
    return {message.params[0]: message.params[1] for message in messages[:-1]}


def test_osc_arrives_and_the_mouth_rests_at_the_end() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"osc://127.0.0.1:{listener.getsockname()[1]}"
        publish(open_publisher(address), output_format(), some_ticks())
        first, last, rest = received(listener), received(listener), received(listener)
    assert first == dict.fromkeys((name[0].upper() + name[1:] for name in BLENDSHAPES), 0.25)
    assert first["JawOpen"] == 0.25
    assert set(last.values()) == {1.0}
    assert set(rest.values()) == {0.0}


def test_osc_to_nobody_goes_on() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    publish(open_publisher(f"osc://localhost:{port}"), output_format(), some_ticks())


@pytest.mark.parametrize("address", ["osc://", "osc://host:0", "osc://host:99999", "osc://host/path", "osc://a b:x"])
def test_wrong_addresses_are_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot send to .*give an address such as osc://127\.0\.0\.1:39539"):
        open_publisher(address)


def test_the_usual_port_need_not_be_given() -> None:
    publisher = OscPublisher("osc://127.0.0.1")
    publisher.open(output_format())
    assert publisher._to[:2] == ("127.0.0.1", 39539)
    publisher.close()
    publisher.close()


def test_an_unknown_host_is_said() -> None:
    with pytest.raises(DeviceError, match=r"cannot send to osc://no-such-host\.invalid"):
        open_publisher("osc://no-such-host.invalid").open(output_format())


def test_a_file_run_writes_the_mouth_of_the_voice(tmp_path: Path) -> None:
    path = tmp_path / "mouth.csv"
    run_file(FileConfig(input="demo", mic="demo", output=path, width=160, height=120, seconds=2.4, quiet=True))
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 60
    jaw = np.array([float(row["jawOpen"]) for row in rows])
    assert jaw[:5].max() == 0  # 0.4 s of silence come first
    assert jaw.max() > 0.05


class Character(PuppetGenerator):
    """Opens its jaw further with every mouth."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        self.made += 1
        return super().generate(tracked, at_ns)

    def blendshapes(self) -> dict[str, float]:
        return {"jawOpen": self.made / 1000}


def test_live_each_tick_has_the_mouth_made_for_it_face_or_not() -> None:
    run = live(4, generator=Character(), faceless=((2 * NS, 3 * NS),))
    found = [each.stamped.tick.blendshapes for each in run.output.taken]
    assert len(found) > 80
    assert [round(1000 * each["jawOpen"]) for each in found if each] == list(range(2, len(found) + 2))


def test_live_a_mouth_that_was_not_made_leaves_the_character_alone() -> None:
    run = live(4, generator=Character(), engine_ns=lambda since: 70 * MS if since > 2 * NS else 8 * MS)
    found = [each.stamped.tick.blendshapes for each in run.output.taken]
    assert None in found
    assert None not in found[:40]


def test_live_an_engine_without_any_gives_none() -> None:
    assert {each.stamped.tick.blendshapes for each in live(1).output.taken} == {None}


def test_weights_that_nobody_reads_are_not_solved() -> None:
    asked: list[int] = []

    class Counting(BlendshapeSolver):
        def weights(self, displacement: np.ndarray) -> np.ndarray:
            asked.append(1)
            return super().weights(displacement)

    found = Counting().named(np.zeros((len(LOWER), 3), np.float32))
    assert (len(found), list(found)) == (len(BLENDSHAPES), list(BLENDSHAPES))
    assert not asked
    assert found == dict.fromkeys(BLENDSHAPES, 0.0)
    assert len(asked) == 1
