"""The studio's files and its advice, in a real Chromium: a sound, a video's sound, a picture, a larger budget."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sound_files import buzz, wav, write_tracks
from test_web_looks import make
from test_web_page import Page, chromium, film, new_page, playwright, pytestmark, servers, url

__all__ = ["chromium", "film", "new_page", "playwright", "pytestmark", "servers", "url"]  # fixtures

RATE = 16_000
# What the server says twice a second, with an advice of the test's own in it.
ADVISED = """
    const create = RTCPeerConnection.prototype.createDataChannel;
    RTCPeerConnection.prototype.createDataChannel = function (...given) {
        const channel = create.apply(this, given);
        let heard = null;
        Object.defineProperty(channel, "onmessage", { set(handler) { heard = handler; } });
        channel.addEventListener("message", (event) => {
            const told = JSON.parse(event.data);
            if (window.advice !== undefined && told.t === "stats") told.advice = window.advice;
            heard?.({ data: JSON.stringify(told) });
        });
        return channel;
    };"""

# Every share of fresh mouths that is shown from now on.
SHARES = """() => { const figure = document.getElementById("v-frames");
    window.shares = [];
    const note = () => window.shares.push(figure.textContent.replace("–", "0"));
    new MutationObserver(note).observe(figure, {childList: true}); }"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of files by what they are."""
    folder = tmp_path_factory.mktemp("talks")
    names = ("sound.wav", "video.mp4", "mute.mp4", "still.png", "empty.wav", "odd.xyz")
    files = {name.partition(".")[0]: folder / name for name in names}
    files["sound"].write_bytes(wav(buzz(RATE, 20.0)[:, None], RATE))
    write_tracks(files["video"], {"eng": 300.0}, seconds=2.0)
    write_tracks(files["mute"], {})
    cv2.imwrite(str(files["still"]), np.full((240, 320, 3), 128, np.uint8))
    files["empty"].write_bytes(b"")
    files["odd"].write_bytes(b"?" * 100)
    return {name: str(path) for name, path in files.items()}


@pytest.fixture(scope="module")
def page(chromium: Any, url: str) -> Iterator[Page]:
    """One page for all tests, left as it was found: not live, its voice the microphone."""
    made = make(chromium, url)
    yield made
    made.close()


@pytest.fixture
def by_file(page: Page) -> Iterator[Page]:
    """The voice shall come from a file."""
    page.view.check("input[name=voice][value=upload]")
    page.requests.clear()
    yield page
    if page.view.locator("#start[data-running=yes]").count():
        page.view.click("#start")
    page.open()  # the files that were chosen are forgotten
    page.view.check("input[name=voice][value=mic]")


def choose(page: Page, path: str, says: str = "up to") -> None:
    page.view.set_input_files("#sound", path)
    page.until(f"document.getElementById('sound-says').textContent.includes({says!r})")


def voice(page: Page) -> Any:
    return [told["voice"] for told in page.sent("PATCH") if "voice" in told]


def test_a_video_is_offered_and_its_sound_is_taken(by_file: Page, talk: dict[str, str]) -> None:
    accepted = str(by_file.view.get_attribute("#sound", "accept")).split(",")
    assert {"video/*", ".mp4", ".wav"} <= set(accepted)
    assert not [each for each in accepted if each in (".png", ".jpg", "image/*")]
    with by_file.view.expect_response(lambda answer: "/api/uploads" in answer.url) as answered:
        by_file.view.set_input_files("#sound", talk["video"])
    assert answered.value.status == 201
    by_file.until("document.getElementById('sound-name').textContent === 'video.mp4 (0:02)'")


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        ("mute", "No audio in the file"),
        ("still", "is no sound"),
        ("odd", "is no sound"),
        ("empty", "is empty"),
    ],
)
def test_what_is_refused_is_named_nowhere_and_the_file_before_it_stays(
    by_file: Page, talk: dict[str, str], refused: str, says: str
) -> None:
    choose(by_file, talk["sound"])
    choose(by_file, talk[refused], says)
    said = by_file.text("#sound-says")
    assert said[0].isupper() or said.startswith(Path(talk[refused]).name)
    assert said.endswith(".")
    assert ".png" not in said.replace("still.png", "")  # no pictures among the sounds
    assert by_file.text("#sound-name") == "sound.wav (0:20)"
    assert by_file.view.input_value("#sound") == ""  # the same name can be chosen again


def test_nothing_is_live_without_the_file_that_was_asked_for(by_file: Page) -> None:
    by_file.view.click("#start")
    by_file.until("document.getElementById('sound-says').textContent.includes('Choose a sound file')")
    assert by_file.text("#state") == "Ready"
    assert by_file.sent("POST", "/api/sessions") == []
    assert by_file.view.evaluate("() => document.activeElement.id") == "sound"
    assert by_file.view.eval_on_selector("#original", "video => video.srcObject") is None


def test_start_waits_for_a_file_that_is_on_its_way(by_file: Page, talk: dict[str, str]) -> None:
    by_file.view.route("**/api/uploads*", lambda route: (by_file.view.wait_for_timeout(600), route.continue_()))
    by_file.view.set_input_files("#sound", talk["sound"])
    by_file.start()
    by_file.view.unroute("**/api/uploads*")
    assert by_file.sent("POST", "/api/sessions")[0]["options"]["voice"].startswith("upload:")
    by_file.view.wait_for_selector("#player-play:enabled")


def test_until_there_is_a_file_the_microphone_goes_on(page: Page, talk: dict[str, str]) -> None:
    page.requests.clear()
    page.start()
    page.view.check("input[name=voice][value=upload]")
    page.view.wait_for_timeout(400)
    assert voice(page) == []
    page.until("Number(document.getElementById('meter').style.getPropertyValue('--level')) > 0")  # it is heard still
    choose(page, talk["sound"])
    page.until("document.getElementById('meter').style.getPropertyValue('--level') === '0'")
    page.view.wait_for_selector("#player-play:enabled")
    assert voice(page)[0].startswith("upload:")
    page.view.check("input[name=voice][value=mic]")
    page.view.wait_for_selector("#player", state="hidden")
    page.view.click("#start")


def test_a_sound_file_is_paused_begun_anew_and_repeated(by_file: Page, talk: dict[str, str]) -> None:
    choose(by_file, talk["sound"])
    assert not by_file.view.is_visible("#player")  # nothing plays yet
    by_file.start()
    at = "document.getElementById('player-at').value * 20"
    by_file.until(f"{at} > 1")
    assert by_file.text("#player-time").endswith("/ 0:20")
    by_file.view.click("#player-play")
    by_file.until("document.getElementById('player-play').ariaLabel.startsWith('Play')")
    stood = by_file.view.evaluate(f"() => {at}")
    by_file.view.wait_for_timeout(700)
    assert by_file.view.evaluate(f"() => {at}") == stood
    by_file.view.click("#player-restart")
    by_file.until(f"{at} < 1 && document.getElementById('player-play').ariaLabel.startsWith('Pause')")
    by_file.view.click("#player-loop")
    by_file.until("document.getElementById('player-loop').ariaPressed === 'false'")
    assert by_file.check("unnamed") == []


def test_the_same_file_speaks_again_in_the_next_session(by_file: Page, talk: dict[str, str]) -> None:
    choose(by_file, talk["sound"])
    by_file.start()
    by_file.view.wait_for_selector("#player-play:enabled")
    by_file.view.click("#start")
    by_file.view.wait_for_selector("#welcome", state="visible")
    by_file.start()
    by_file.view.wait_for_selector("#player-play:enabled")
    first, second = (told["options"]["voice"] for told in by_file.sent("POST", "/api/sessions"))
    assert first != second  # the server forgets a session's files


@pytest.mark.slow
def test_a_picture_is_asked_for_and_one_without_a_face_is_told(page: Page, talk: dict[str, str]) -> None:
    page.requests.clear()
    page.view.select_option("#camera", "still")
    page.view.click("#start")
    page.until("document.getElementById('still-says').textContent.includes('Choose a picture')")
    assert page.sent("POST", "/api/sessions") == []
    page.view.set_input_files("#still", talk["sound"])
    page.until("document.getElementById('still-says').textContent.includes('is no picture')")
    assert page.text("#still-name") == "No picture yet"
    page.view.set_input_files("#still", talk["still"])
    page.until("document.getElementById('still-name').textContent === 'still.png'")
    page.start()
    page.until("document.getElementById('counsel-text').textContent.startsWith('No face is seen.')")
    assert page.view.is_visible("#counsel-text")
    assert not page.view.is_visible("#counsel-take")  # time is not what is missing
    page.view.click("#start")
    page.view.wait_for_selector("#counsel", state="hidden")
    page.view.select_option("#camera", "")


@pytest.mark.slow
def test_where_mouths_come_too_late_a_larger_budget_is_offered_and_taken(new_page: Any) -> None:
    page = new_page()
    page.view.add_init_script(ADVISED)
    page.open().start()
    page.view.evaluate(SHARES)
    advice = "{why: 'late', what: '64 %% of the mouths came too late.', do: 'More time helps.', budget_ms: %d}"
    page.view.evaluate(f"() => {{ window.advice = {advice % 300}; }}")
    page.view.wait_for_selector("#counsel-take:visible")
    assert page.text("#counsel-take") == "Use 300 ms"
    assert page.text("#counsel-text").startswith("64 %")
    with page.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        page.view.click("#counsel-take")
    assert answered.value.json()["options"]["budget_ms"] == 300
    assert page.text("#budget-value") == "300 ms"
    page.view.evaluate(f"() => {{ window.advice = {advice % 350}; }}")
    page.until("document.getElementById('counsel-take').textContent === 'Use 350 ms'")
    with page.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        page.view.check("#raise")  # from now on by itself
    assert answered.value.json()["options"]["budget_ms"] == 350
    with page.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        page.view.evaluate(f"() => {{ window.advice = {advice % 400}; }}")
    assert answered.value.json()["options"]["budget_ms"] == 400
    assert not page.view.is_visible("#counsel-take")
    page.view.wait_for_timeout(1200)
    assert [told["budget_ms"] for told in page.sent("PATCH")] == [300, 350, 400]  # each once
    page.view.evaluate("() => { window.advice = null; }")
    page.view.wait_for_selector("#counsel", state="hidden")
    shares = page.view.evaluate("() => window.shares.map(Number)")
    assert all(0 <= share <= 100 for share in shares), shares  # each run counts anew
