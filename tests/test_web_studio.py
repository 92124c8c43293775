"""The whole studio: real server, real engine, Chromium. What comes back is told from what was sent by marks in both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import av
import browser
import numpy as np
import pytest
from playwright import sync_api
from web_peers import ROOMY_MS

from benchmarks.studio_page import Server, StudioPage, serving

pytestmark = pytest.mark.skipif(
    browser.PROGRAM is None,
    reason="neither Chromium nor Chrome is installed (Debian: apt install chromium; Ubuntu has it as a snap only)",
)

WIDTH, HEIGHT, FPS = 640, 480, 15
COMPARE = (Path(__file__).parent / "compare.js").read_text()
FIELDS = (24, 32)
# Chromium lets picture and sound lie 30 ms apart before it moves one of them (kMinDeltaMs, stream_synchronization.cc);
# the camera's pictures lie within one of their own on the output's grid. The benchmark measures what is left of that.
APART_MS = 30 + 1000 / FPS
MOUTH = (slice(14, 18), slice(13, 19))  # the portrait's, in fields; it moves by less than one
DUBBED = (slice(11, 22), slice(10, 22))  # what speech may change: the lower face and the jaw below it


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--max-sessions", "1", "--fps", str(FPS)) as running:
        yield running


@pytest.fixture(scope="module")
def visit(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioPage]:
    """One session for all tests: each but the last leaves it as it was."""
    folder = tmp_path_factory.mktemp("marked")
    film = browser.camera_film(folder / "face.y4m", WIDTH, HEIGHT, FPS, 3 * browser.NUMBERS / FPS, marked=True)
    voice = browser.voice_file(folder / "voice.wav", marked=True)
    with sync_api.sync_playwright() as playwright, browser.chromium(playwright, film, voice) as running:
        page = StudioPage(running, server.url)
        page.start()
        page.watch()
        yield page
        assert page.complaints == []
        page.close()


def change(visit: StudioPage, id: str, value: object) -> None:
    """Moves a slider or chooses from a list, and waits for the server's word."""
    script = "(element, value) => { element.value = value; element.dispatchEvent(new Event('input')); }"
    with visit.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        visit.view.eval_on_selector(f"#{id}", script, value)
    assert answered.value.ok


def difference(visit: StudioPage) -> Any:
    """(24, 32): the dubbed picture against the camera's."""
    return np.array(visit.view.evaluate(COMPARE, 45)).reshape(FIELDS)


def seen_for(visit: StudioPage, seconds: float) -> Any:
    """What comes in from now on."""
    visit.forget()
    visit.view.wait_for_timeout(1000 * seconds)
    return visit.seen()


@pytest.mark.slow
def test_picture_and_sound_come_back_together(visit: StudioPage) -> None:
    visit.view.wait_for_timeout(4000)  # the bitrate rises, the buffers settle
    # A machine that is busy with something else for some seconds pushes them apart; a fault of ours would stay.
    for _ in range(4):
        seen = seen_for(visit, 10)
        offsets_ms = [offset for _, offset in seen.offsets_ms]
        if len(offsets_ms) >= 6 and abs(float(np.median(offsets_ms))) <= APART_MS:
            break
    assert len(offsets_ms) >= 6
    assert abs(float(np.median(offsets_ms))) <= APART_MS
    assert len({number for number, *_ in seen.shown}) == browser.NUMBERS


def figures_of(server: Server) -> dict[str, float]:
    with urlopen(server.url + "metrics") as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^realtime_dub_(\S+) (\S+)$", text, re.MULTILINE)}


@pytest.mark.long
def test_the_pages_figures_are_the_servers(visit: StudioPage, server: Server) -> None:
    for _ in range(15):  # both change fast while a run is young, each at a rhythm of its own
        visit.view.wait_for_timeout(1000)
        figures = figures_of(server)
        apart_ms = abs(float(visit.view.inner_text("#v-latency")) - figures['latency_ms{quantile="p50"}'])
        if apart_ms < 15:
            break
    assert apart_ms < 15
    assert figures["sessions"] == 1
    kinds = [figures[f'frames{{kind="{kind}"}}'] for kind in ("fresh", "reused", "passthrough")]
    assert sum(kinds) == figures['frames{kind="total"}']
    label = visit.view.get_attribute("#c-frames", "aria-label")
    shares = [float(share) for share in re.findall(r"([\d.]+) %", str(label))]
    assert abs(sum(shares) - 100) < 1
    budget_ms = float(visit.view.inner_text("#budget-value").split()[0])
    assert figures['latency_ms{quantile="p95"}'] <= budget_ms


def delays_ms(visit: StudioPage) -> Any:
    """(2,): of pictures and of sound, from the browser's camera and microphone back to the page."""
    seen = seen_for(visit, 5)
    return np.array([np.median([took for _, took in each]) for each in (seen.pictures, seen.tones)])


@pytest.mark.long
def test_a_larger_budget_delays_picture_and_sound_alike(visit: StudioPage) -> None:
    budget_ms = float(visit.view.inner_text("#budget-value").split()[0])
    before_ms = delays_ms(visit)
    change(visit, "budget", budget_ms + 400)
    visit.view.wait_for_timeout(4000)
    for _ in range(3):  # a busy machine's browser takes longer to settle
        off_ms = np.abs(delays_ms(visit) - before_ms - 400)
        if off_ms.max() < 100:
            break
    change(visit, "budget", budget_ms)
    assert off_ms.max() < 100


@pytest.mark.long
def test_another_voice_takes_the_microphones_place(visit: StudioPage, tmp_path: Path) -> None:
    assert seen_for(visit, 3).tones
    visit.view.check("input[name=voice][value=upload]")
    with visit.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        visit.view.set_input_files("#sound", str(browser.voice_file(tmp_path / "other.wav")))
    assert answered.value.ok
    visit.view.wait_for_timeout(3000)
    assert not seen_for(visit, 3).tones
    visit.view.check("input[name=voice][value=mic]")


@pytest.mark.long
def test_a_recording_plays_back(visit: StudioPage) -> None:
    visit.view.wait_for_timeout(2000)
    visit.view.click("#record")
    visit.view.wait_for_timeout(4000)
    with visit.view.expect_download() as waiting:
        visit.view.click("#record")
    with av.open(str(waiting.value.path())) as film:
        numbers = [number_of(frame.to_ndarray(format="gray")) for frame in film.decode(video=0)]
    with av.open(str(waiting.value.path())) as film:
        sound = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in film.decode(audio=0)])
    assert 40 < len(numbers) < 90
    steps = np.diff(numbers) % browser.NUMBERS
    assert np.median(steps) == 1
    assert np.abs(sound).max() > 0.05
    assert abs(len(sound) / browser.RATE - len(numbers) / FPS) < 0.2


def number_of(image: Any) -> int:
    """What ``browser.mark`` wrote, in whatever size the browser sent it."""
    size = browser.BLOCK * image.shape[1] / WIDTH
    row = round(size / 2)
    return sum(int(image[row, round((bit + 0.5) * size)] > 126) << bit for bit in range(browser.BITS))


def test_the_next_one_is_refused_politely(visit: StudioPage, server: Server) -> None:
    other = StudioPage(visit.context.browser, server.url)
    other.view.click("#start")
    other.view.wait_for_selector("#failure:not([hidden])")
    said = other.view.inner_text("#failure")
    assert all(word in said for word in ("full", "Try again in a minute", "best in")), said
    assert visit.view.get_attribute("#state", "data-state") == "live"
    other.close()


@pytest.mark.slow
def test_the_mouth_speaks_and_the_rest_is_the_cameras(visit: StudioPage) -> None:
    """The last: the browser's buffers take their time to shrink again."""
    change(visit, "budget", ROOMY_MS)
    change(visit, "strength", 2)
    visit.view.wait_for_timeout(4000)  # the bitrate rises
    dubbed = max((difference(visit) for _ in range(3)), key=lambda each: np.median(each[MOUTH]))  # while it speaks
    change(visit, "engine", "passthrough")
    visit.view.wait_for_timeout(2500)
    unchanged = difference(visit)
    around = np.ones(FIELDS, bool)
    around[DUBBED] = False
    assert np.median(dubbed[MOUTH]) > 2 * np.median(unchanged[MOUTH])
    assert dubbed[MOUTH].max() > 10
    assert np.percentile(dubbed[around], 95) < 2 * np.percentile(unchanged[around], 95) + 1
    assert unchanged.mean() < 6
