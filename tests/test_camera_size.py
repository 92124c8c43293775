"""What a camera is asked for: what somebody named, else what this machine was measured to hold."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from realtime_dub import cli
from realtime_dub.config import LiveConfig, build
from realtime_dub.doctor import face
from realtime_dub.errors import BundleError, ConfigError, DeviceError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import Generated, MouthGenerator
from realtime_dub.mouth.passthrough import PassthroughGenerator
from realtime_dub.pipeline import camera
from realtime_dub.pipeline.camera import LARGE, USUAL, CameraMode
from realtime_dub.pipeline.live import run
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.studio.camera import CameraAdvice
from realtime_dub.web.studio.studio import Studio

MUCH_NS = 60 * NS  # so that a busy machine does not end a measurement


class Slow(PassthroughGenerator):
    """An engine that takes ``ms`` for each mouth."""

    def __init__(self, ms: float) -> None:
        super().__init__()
        self._ms, self.asked = ms, 0

    def generate(self, tracked: TrackedFrame, at_ns: int) -> Generated | None:
        self.asked += 1
        time.sleep(self._ms / 1000)
        return super().generate(tracked, at_ns)


def test_a_machine_that_makes_no_mouth_in_time_asks_for_small_frames_and_says_why() -> None:
    mode = camera.choose(lambda: Slow(60), most_ns=MUCH_NS)
    assert (mode.width, mode.height, mode.fps, mode.smaller) == (640, 480, 25, None)
    assert "at 1280x720, and may take 20" in mode.why


def test_a_machine_that_makes_them_in_time_asks_for_large_ones() -> None:
    mode = camera.choose(lambda: Slow(0), fps=2, most_ns=MUCH_NS)  # a frame that lasts half a second
    assert (mode.width, mode.height, mode.fps, mode.smaller) == (1280, 720, 2, (640, 480))
    assert "may take 300" in mode.why


def test_one_that_is_very_slow_is_given_up_and_does_not_keep_anybody_waiting() -> None:
    slow = Slow(100)
    mode = camera.choose(lambda: slow, most_ns=250 * MS)
    assert (mode.width, mode.fps) == (640, 25)
    assert "too much for this machine" in mode.why
    assert slow.asked <= 4


def test_mouths_are_drawn_while_it_is_measured() -> None:
    """Of an engine that is silent, or finds no face, it would say nothing."""
    drawn: list[bool] = []

    def watched() -> MouthGenerator:
        generator = registry.create(registry.DEFAULT)
        generate = generator.generate

        def watch(tracked: TrackedFrame, at_ns: int) -> Generated | None:
            drawn.append((made := generate(tracked, at_ns)) is not None)
            return made

        generator.generate = watch  # type: ignore[method-assign]
        return generator

    assert camera.mouth_ns(watched, USUAL, MUCH_NS) is not None
    assert len(drawn) == camera.WARM_UP + camera.COUNTED
    assert all(drawn[camera.WARM_UP :])


def test_with_one_core_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "cores", lambda: 1)
    mode = camera.choose(lambda: pytest.fail("it was made"))
    assert (mode.width, mode.why) == (640, "1280x720 at 30 wants 2 processor cores")


def test_an_engine_that_cannot_be_tried_is_no_reason_to_end() -> None:
    def broken() -> MouthGenerator:
        raise BundleError("cannot run bundle", "here", "choose another")

    mode = camera.choose(broken)
    assert (mode.width, mode.fps) == (640, 25)
    assert "could not be measured: cannot run bundle here" in mode.why


def test_what_somebody_named_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "choose", lambda make, fps, kept: pytest.fail("it was measured"))
    asked = run._camera_mode(build(LiveConfig, webcam="0", width=1920, height=1080))
    assert asked == CameraMode(1920, 1080, 25, "as asked for")
    other = run._camera_mode(build(LiveConfig, webcam="demo"))
    assert other == CameraMode(640, 480, 25)


def test_a_camera_is_asked_for_what_the_machine_holds_at_the_rate_that_was_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("realtime_dub.sources.webcam.check_there", lambda device: None)
    rates: list[float | None] = []
    monkeypatch.setattr(camera, "choose", lambda make, fps, kept: rates.append(fps) or LARGE)
    assert run._camera_mode(build(LiveConfig, webcam="0")) is LARGE
    assert run._camera_mode(build(LiveConfig, webcam="0", fps=15)) is LARGE
    assert rates == [None, 15]


def test_a_camera_that_is_not_there_is_found_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "choose", lambda make, fps, kept: pytest.fail("it was measured"))
    monkeypatch.setattr("realtime_dub.sources.webcam.LINUX", True)
    with pytest.raises(DeviceError, match="no such camera"):
        run._camera_mode(build(LiveConfig, webcam="/dev/video97"))


@pytest.mark.parametrize(
    ("arguments", "size", "named"),
    [
        ([], (640, 480), False),
        (["--size", "auto"], (640, 480), False),
        (["--size", "720p"], (1280, 720), True),
        (["--size", "800x600"], (800, 600), True),
        (["--width", "320"], (320, 480), True),
    ],
)
def test_sizes_of_the_command_line(
    arguments: list[str], size: tuple[int, int], named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[LiveConfig] = []

    def taken(config: LiveConfig) -> None:
        given.append(config)
        raise ConfigError("that is all")

    monkeypatch.setattr(run, "run_live", taken)
    assert cli.run([*arguments, "--webcam", "demo"]) == 2
    assert ((given[0].width, given[0].height), given[0].size_asked) == (size, named)


@pytest.mark.parametrize("arguments", [["--size", "large"], ["--size", "640x"], ["--size", "720p", "--width", "640"]])
def test_a_size_that_cannot_be_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*arguments, "--webcam", "demo"]) == 2
    assert "cannot use --size" in capsys.readouterr().err


def test_doctor_says_what_it_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "choose", lambda make, kept, anew: CameraMode(1280, 720, 30, "it is quick"))
    finding = face.camera_size()
    assert (finding.state, finding.detail) == ("ok", "1280x720 at 30: it is quick")


def advised(config: ServeConfig, measured: bool) -> CameraMode:
    async def ask() -> CameraMode:
        advice = CameraAdvice(config, partial(Slow, 0))
        if measured:
            advice.begin()
        mode = await advice.mode()
        await advice.close()
        return mode

    return asyncio.run(ask())


def test_pages_are_told_what_the_servers_machine_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float | None] = []
    monkeypatch.setattr(camera, "choose", lambda make, fps, kept: rates.append(fps) or LARGE)
    assert advised(ServeConfig(), True) is LARGE
    assert advised(ServeConfig(fps=20), True) is LARGE
    assert rates == [None, 20]


def test_a_server_that_makes_frames_smaller_asks_for_no_larger_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "choose", lambda make, fps, kept: pytest.fail("it was measured"))
    assert advised(ServeConfig(picture_height=480), True).why == "--picture-height is 480"
    assert (advised(ServeConfig(fps=15), False).width, advised(ServeConfig(fps=15), False).fps) == (640, 15)


def test_a_server_that_was_told_a_size_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "choose", lambda make, fps, kept: pytest.fail("it was measured"))
    small, large = advised(ServeConfig(size="480p"), True), advised(ServeConfig(size="720p", fps=30), True)
    assert (small.width, small.height, small.fps) == (640, 480, 25)
    assert (large.width, large.height, large.fps) == (1280, 720, 30)


def test_a_fault_while_measuring_leaves_a_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(make: object, fps: object, kept: object) -> CameraMode:
        raise RuntimeError("of a library")

    monkeypatch.setattr(camera, "choose", broken)
    assert advised(ServeConfig(), True).why == "this machine could not be measured"


@pytest.mark.parametrize(("asked", "fps"), [({}, 30), ({"fps": 20}, 20)])
def test_sessions_go_at_the_rate_that_cameras_are_asked_for(
    asked: dict[str, float], fps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "choose", lambda make, fps, kept: LARGE)

    async def measured() -> float:
        studio = await asyncio.to_thread(Studio, ServeConfig(**asked))
        await studio.measure()
        await studio.close()
        return studio.config.fps

    assert asyncio.run(measured()) == fps
