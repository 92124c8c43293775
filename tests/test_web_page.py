"""The studio's page in a real Chromium, with the real server: what it shows, sends, and says when it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browser
import cv2
import pytest
from faces import portrait
from patience import PATIENCE_MS
from playwright import sync_api

from benchmarks.studio_page import Server

pytestmark = pytest.mark.skipif(
    browser.PROGRAM is None,
    reason="neither Chromium nor Chrome is installed (Debian: apt install chromium; Ubuntu has it as a snap only)",
)

NewPage = Callable[..., "Page"]
POLL_MS = 100
HERE = Path(__file__).parent
# Whoever tests what comes after the green room goes past it, as a person does who has chosen so.
NO_GREEN_ROOM = """try {
    if (!localStorage.getItem("settings")) localStorage.setItem("settings", '{"version": 1, "green": false}');
} catch { /* no page yet */ }"""
CHECKS = (HERE / "page_checks.js").read_text()


# Whoever is asked whether others may move their mouth says yes.
AGREES = """new MutationObserver(() => document.querySelector("#consent[open] #consent-yes")?.click())
    .observe(document, { subtree: true, attributes: true, attributeFilter: ["open"] })"""


class Page:
    """A page of one browser context, with what it asked for and complained of."""

    def __init__(self, context: Any, url: str) -> None:
        self.view, self.url = context.new_page(), url
        self.complaints: list[str] = []
        self.requests: list[Any] = []
        context.add_init_script(NO_GREEN_ROOM)
        self.view.add_init_script(AGREES)
        self.view.on("console", self._console)
        self.view.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.view.on("request", lambda request: self.requests.append(request))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, query: str = "") -> Page:
        self.view.goto(self.url + query)
        self.until("!document.getElementById('start').disabled || !document.getElementById('failure').hidden")
        return self

    def start(self) -> Page:
        self.view.click("#start")
        self.view.wait_for_selector("#state[data-state=live]", timeout=PATIENCE_MS)
        self.until("document.getElementById('dubbed').videoWidth > 0")
        return self

    def close(self) -> None:
        """The session first: the server would hold one that is gone without a word for a while."""
        if self.view.locator("#start[data-running=yes]").count():
            self.view.click("#start")
            self.view.wait_for_selector("#welcome", state="visible")
        self.view.context.close()

    def until(self, expression: str) -> None:
        """Waits for it. Not with ``wait_for_function``, which the page's policy against ``eval`` stops."""
        for _ in range(PATIENCE_MS // POLL_MS):
            if self.view.evaluate(f"() => Boolean({expression})"):
                return
            self.view.wait_for_timeout(POLL_MS)
        pytest.fail(f"never came true: {expression}; complaints: {self.complaints}")

    def check(self, name: str) -> Any:
        """What the function of this name in page_checks.js finds."""
        return self.view.evaluate(f"() => {{ {CHECKS}; return {name}(); }}")

    def text(self, selector: str) -> str:
        return str(self.view.inner_text(selector))

    def sent(self, method: str, ending: str = "") -> list[dict[str, Any]]:
        asked = [request for request in self.requests if request.method == method and request.url.endswith(ending)]
        return [json.loads(request.post_data or "{}") for request in asked]

    def offers(self, ending: str = "/api/sessions") -> list[str]:
        return [str(body["sdp"]) for body in self.sent("POST", ending)]

    def fails_with(self, *words: str) -> None:
        """The failure is shown, names these things, and offers to try again."""
        self.view.wait_for_selector("#failure:not([hidden])", timeout=PATIENCE_MS)
        said = self.text("#failure")
        assert all(word in said for word in words), said
        assert self.view.is_visible("#retry") or self.view.is_visible("#token-form button")


@contextmanager
def page_of(*options: str) -> Iterator[Page]:
    """A page without a camera, of a server of its own; it has had nothing to complain about by the end."""
    server = Server("--quiet", *options)
    try:
        with sync_api.sync_playwright() as playwright, browser.chromium(playwright, None) as chromium:
            view = Page(chromium.new_context(permissions=["microphone"]), server.url)
            yield view
            view.close()
            assert view.complaints == []
    finally:
        server.close()


class Servers:
    """The servers of this module, by address. Another server is tested by starting that one here."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    def __call__(self, *arguments: str) -> str:
        """Start one with these arguments; its address."""
        server = Server("--quiet", *arguments)
        self._running[server.url] = server
        return server.url

    def end(self, url: str) -> None:
        self._running.pop(url).close()

    def end_all(self) -> None:
        for url in tuple(self._running):
            self.end(url)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    running = Servers()
    yield running
    running.end_all()


@pytest.fixture(scope="module")
def url(servers: Servers) -> str:
    return servers()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return browser.camera_film(tmp_path_factory.mktemp("camera") / "face.y4m", 320, 240, 15, 1)


@pytest.fixture(scope="module")
def playwright(film: Path) -> Iterator[Any]:
    """For this module alone: while it runs, its event loop is the thread's, and other tests want one of their own."""
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def chromium(playwright: Any, film: Path) -> Iterator[Any]:
    with browser.chromium(playwright, film) as running:
        yield running


@pytest.fixture
def new_page(chromium: Any, url: str) -> Iterator[NewPage]:
    """A page in a context of its own: with ``allowed`` it has camera and microphone, otherwise they are refused."""
    pages = []

    def make(address: str = url, *, allowed: bool = True, **options: Any) -> Page:
        permissions = ["camera", "microphone"] if allowed else []
        pages.append(Page(chromium.new_context(permissions=permissions, accept_downloads=True, **options), address))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture
def live(new_page: NewPage) -> Page:
    return new_page().open().start()


def pixels(page: Page, selector: str) -> list[int]:
    """The picture of a video element now, 64x48, RGBA."""
    script = """element => {
        const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 48});
        const pen = canvas.getContext("2d");
        pen.drawImage(element, 0, 0, 64, 48);
        return [...pen.getImageData(0, 0, 64, 48).data];
    }"""
    return list(page.view.eval_on_selector(selector, script))


def test_loads_clean_and_from_its_own_server_alone(new_page: NewPage, url: str) -> None:
    page = new_page().open()
    assert page.complaints == []
    assert all(request.url.startswith(url) for request in page.requests)
    assert page.text("#state") == "Ready"
    assert page.view.is_visible("#welcome")
    assert page.view.is_disabled("#snapshot")


def test_connects_and_the_dubbed_picture_moves(live: Page) -> None:
    assert live.text("#state") == "Live"
    live.until("document.getElementById('dubbed').getVideoPlaybackQuality().totalVideoFrames > 5")
    first = pixels(live, "#dubbed")
    for _ in range(PATIENCE_MS // POLL_MS):
        live.view.wait_for_timeout(POLL_MS)
        if (moved := sum(abs(a - b) for a, b in zip(first, pixels(live, "#dubbed"), strict=True))) > 1000:
            break
    assert moved > 1000
    assert live.view.is_visible("#badge")
    assert live.text("#badge") == "AI-dubbed"
    offer = live.sent("POST", "/api/sessions")[0]
    assert offer["options"]["voice"] == "mic"
    assert live.sent("POST", "/candidates")
    assert live.complaints == []


def test_charts_follow_the_server_and_the_network(live: Page) -> None:
    live.until("parseInt(document.getElementById('v-latency').textContent) > 100")
    live.until("parseInt(document.getElementById('v-frames').textContent) > 0")
    live.until("parseInt(document.getElementById('v-rate').textContent) > 10")
    live.until("document.getElementById('v-loss').textContent === '0.0'")
    live.until("/^Delay: median \\d/.test(document.getElementById('c-latency').getAttribute('aria-label'))")
    drawn = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
    assert live.view.eval_on_selector("#c-latency", drawn) > 3


def test_choosers_act_without_reconnecting(live: Page) -> None:
    live.view.eval_on_selector("#strength", "s => { s.value = 0.5; s.dispatchEvent(new Event('input')); }")
    live.until("document.getElementById('strength-value').textContent === '50 %'")
    live.until("document.getElementById('silence-hint').textContent.includes('Now: your own.')")
    live.view.select_option("#silence", "rest")
    live.view.select_option("#face", "left")
    live.view.eval_on_selector("#budget", "s => { s.value = 400; s.dispatchEvent(new Event('input')); }")
    live.until("parseInt(document.getElementById('v-latency').textContent) >= 330")
    with live.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        live.view.select_option("#ahead", "40")
    assert answered.value.ok
    live.until("document.getElementById('engine-hint').textContent.includes('Hears 40 ms ahead')")
    assert live.text("#budget-value") == "360 ms"  # what is left for the rest stays
    with live.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        live.view.select_option("#engine", "passthrough")
    assert answered.value.ok
    live.until("document.getElementById('engine-hint').textContent.includes('Hears 0 ms ahead')")
    changes = live.sent("PATCH")
    assert any(change.get("strength") == 0.5 for change in changes)
    assert any(change.get("silence") == "rest" for change in changes)
    assert any(change.get("engine") == "passthrough" for change in changes)
    assert any(change.get("budget_ms") == 400 for change in changes)
    assert any(change.get("look_ahead_ms") == 40 for change in changes)
    assert any(change.get("face") == "left" for change in changes)
    assert len(live.sent("POST", "/api/sessions")) == 1


def test_the_microphone_can_teach_while_another_voice_speaks(live: Page) -> None:
    live.view.check("#own-mic")
    live.view.click("input[name=voice][value=room] + span")
    live.until("document.getElementById('own-mic-hint').textContent.includes('by nobody')")
    live.until("Number(document.getElementById('meter').getAttribute('aria-valuenow')) > 0")  # it is open
    changes = live.sent("PATCH")
    assert any(change.get("own_mic") is True for change in changes)
    assert any(str(change.get("voice")).startswith("room:") for change in changes)
    assert live.view.evaluate("() => JSON.parse(localStorage.getItem('settings')).own_mic") is True
    assert live.complaints == []


def test_stop_ends_the_session_on_the_server(live: Page) -> None:
    live.view.click("#start")
    live.view.wait_for_selector("#welcome:not([hidden])")
    assert len([request for request in live.requests if request.method == "DELETE"]) == 1
    tracks = live.view.eval_on_selector("#original", "video => video.srcObject")
    assert tracks is None


def test_recording_is_made_by_the_server_and_saved(live: Page) -> None:
    live.view.click("#record")
    live.view.wait_for_selector("#rec-badge:not([hidden])")
    live.view.wait_for_timeout(1500)
    with live.view.expect_download(timeout=PATIENCE_MS) as waiting:
        live.view.click("#record")
    saved = waiting.value
    assert saved.suggested_filename.endswith(".mp4")
    assert saved.path().stat().st_size > 2000
    assert b"ftyp" in saved.path().read_bytes()[:12]


def test_snapshot_carries_the_badge(live: Page) -> None:
    with live.view.expect_download() as waiting:
        live.view.click("#snapshot")
    image = cv2.imread(str(waiting.value.path()))
    assert image.shape == (240, 320, 3)
    yellow = (abs(image.astype(int) - (46, 208, 255)).max(axis=2) < 12)[:40, 160:]
    assert yellow.sum() > 500


@pytest.mark.slow
def test_enrolment_shows_progress_and_the_bank_goes_both_ways(live: Page, tmp_path: Path) -> None:
    live.until("parseInt(document.getElementById('v-frames').textContent) > 0")
    live.view.click("#enroll")
    live.until("document.getElementById('enroll-progress').value > 0.2")
    assert live.sent("POST", "/enroll") == [{"seconds": 5, "consent": True}]
    live.until("document.getElementById('notice').textContent.includes('learnt')")
    with live.view.expect_download() as waiting:
        live.view.click("#bank-save")
    mine = tmp_path / "mine.bank"
    waiting.value.save_as(mine)
    live.view.set_input_files("#bank-load", str(mine))
    live.until("document.getElementById('notice').textContent.includes('mouth bank is in use')")
    mine.write_bytes(b"no bank any more")
    live.view.set_input_files("#bank-load", str(mine))
    live.until("document.getElementById('notice').textContent.includes('is not a mouth bank')")


def test_swipe_shows_both_pictures_of_one_instant(live: Page) -> None:
    live.view.keyboard.press("c")
    assert live.view.get_attribute("#stage", "data-view") == "swipe"
    live.view.wait_for_selector("#aligned:not([hidden])")
    live.view.keyboard.press("ArrowRight")
    assert live.view.input_value("#swipe") == "54"
    assert live.view.eval_on_selector("#stage", "stage => stage.style.getPropertyValue('--split')") == "54%"
    live.view.keyboard.press("c")
    live.view.wait_for_selector("#aligned", state="hidden")
    assert live.view.is_visible("#badge")


def test_full_screen_keeps_the_badge(live: Page) -> None:
    live.view.keyboard.press("f")
    live.until("document.fullscreenElement?.id === 'stage'")
    box = live.view.locator("#badge").bounding_box()
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= live.view.viewport_size["width"]
    live.view.keyboard.press("f")
    live.until("document.fullscreenElement === null")


def test_a_voice_from_a_file_or_a_room_takes_the_microphones_place(live: Page, tmp_path: Path) -> None:
    sound = browser.voice_file(tmp_path / "voice.wav")
    live.view.check("input[name=voice][value=upload]")
    with live.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        live.view.set_input_files("#sound", str(sound))
    assert answered.value.ok
    live.until("document.getElementById('meter').style.getPropertyValue('--level') === '0'")
    with live.view.expect_response(lambda answer: answer.request.method == "PATCH") as answered:
        live.view.check("input[name=voice][value=room]")
    assert answered.value.ok
    voices = [change["voice"] for change in live.sent("PATCH") if "voice" in change]
    assert voices[0].startswith("upload:")
    assert voices[1] == f"room:{live.view.input_value('#room')}"


def test_a_still_picture_takes_the_cameras_place_in_a_new_session(live: Page, tmp_path: Path) -> None:
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), portrait(240))
    live.view.select_option("#camera", "still")
    live.view.set_input_files("#still", str(still))
    live.until("document.getElementById('original').srcObject === null")
    live.until("document.getElementById('state').dataset.state === 'live'")
    first, second = (body["options"] for body in live.sent("POST", "/api/sessions"))
    assert "picture" not in first
    assert second["picture"].startswith("upload:")


def test_the_camera_is_asked_for_what_the_server_holds_until_somebody_chooses(new_page: NewPage) -> None:
    page = new_page()
    page.view.add_init_script(
        "window.asked = []; const { mediaDevices } = navigator, open = mediaDevices.getUserMedia.bind(mediaDevices);"
        " mediaDevices.getUserMedia = (what) => { if (what.video) asked.push(what.video); return open(what); };"
    )
    page.open().start()
    held = page.view.evaluate("async () => (await (await fetch('api/config')).json()).camera")
    first = page.view.evaluate("() => asked[0]")
    assert [first[key]["ideal"] for key in ("width", "height", "frameRate")] == [
        held[key] for key in ("width", "height", "fps")
    ]
    assert str(held["width"]) in str(page.view.text_content("#camera-size option[value=auto]"))
    for chosen, size in (("480p", (640, 480)), ("720p", (1280, 720))):
        page.view.select_option("#camera-size", chosen)
        page.until(f"asked.at(-1).width.ideal === {size[0]} && document.getElementById('original').srcObject")
        assert page.view.evaluate("() => asked.at(-1).height.ideal") == size[1]


@pytest.mark.slow
def test_an_interpreter_sends_a_voice_and_no_picture(new_page: NewPage) -> None:
    page = new_page().open("?role=interpreter&room=gallery")
    assert "voice" in page.text("#welcome-title")
    page.view.evaluate(
        "() => { window.states = []; const state = document.getElementById('state');"
        " new MutationObserver(() => states.push(state.dataset.state)).observe(state, { attributes: true }); }"
    )
    page.view.click("#start")
    page.until("document.getElementById('state').textContent.includes('Waiting for the sender')")
    assert "live" not in page.view.evaluate("() => states"), "there is nobody to speak for"
    offer = page.sent("POST", "/api/sessions")[0]
    assert offer["options"] == {"role": "interpreter", "room": "gallery"}
    described = {part.split()[0]: part for part in offer["sdp"].split("m=")[1:]}
    assert "a=recvonly" in described["video"]
    assert "a=sendrecv" in described["audio"]


def test_a_viewer_sends_nothing_and_asks_for_no_device(new_page: NewPage) -> None:
    new_page().open("?room=hall").start()
    page = new_page(allowed=False).open("?role=viewer&room=hall").start()
    assert page.sent("POST", "/api/sessions")[0]["options"] == {"role": "viewer", "room": "hall", "channel": ""}
    assert page.offers()[0].count("a=recvonly") == 2
    assert not page.view.is_visible("#failure")


def test_keys_work_and_can_be_switched_off(new_page: NewPage) -> None:
    page = new_page(color_scheme="light").open()
    theme = "() => document.documentElement.dataset.theme"
    page.view.keyboard.press("t")
    assert page.view.evaluate(theme) == "dark"
    page.view.keyboard.press("?")
    assert page.view.is_visible("#help-dialog")
    page.view.uncheck("#keys-on")
    page.view.keyboard.press("Escape")
    page.view.keyboard.press("t")
    assert page.view.evaluate(theme) == "dark"
    page.view.reload()
    assert page.view.evaluate(theme) == "dark"


def test_everything_is_reached_by_tab_and_shows_its_focus(new_page: NewPage) -> None:
    page = new_page().open()
    seen = []
    for _ in range(26):
        page.view.keyboard.press("Tab")
        seen.append(page.view.evaluate("() => document.activeElement.id || document.activeElement.name"))
    assert {
        "start",
        "full",
        "theme",
        "help",
        "camera",
        "microphone",
        "processing",
        "engine",
        "ahead",
        "strength",
        "silence",
        "own-mic",
        "budget",
    } <= set(seen)
    page.view.focus("#camera")
    page.view.keyboard.press("Tab")
    assert page.view.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("check", ["unnamed", "brokenReferences", "doubleIds"])
def test_screen_readers_find_a_name_for_everything(new_page: NewPage, check: str) -> None:
    assert new_page().open().check(check) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(new_page: NewPage, scheme: str) -> None:
    assert new_page(color_scheme=scheme).open().check("paleTexts") == []


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_width_scrolls_sideways(new_page: NewPage, width: int) -> None:
    page = new_page(viewport={"width": width, "height": 800}).open()
    assert page.view.evaluate("() => document.documentElement.scrollWidth") <= width
    right = page.check("toolbarEnd")
    assert right <= width


def test_permission_refused_says_where_to_allow(new_page: NewPage) -> None:
    page = new_page(allowed=False).open()
    page.view.click("#start")
    page.fails_with("camera is not allowed", "site button")


def test_full_server_says_so_and_when_to_come_back(new_page: NewPage, servers: Servers) -> None:
    address = servers("--max-sessions", "1")
    new_page(address).open().start()
    page = new_page(address).open()
    page.view.click("#start")
    page.fails_with("full", "Try again in a minute", "best in")
    assert page.view.eval_on_selector("#original", "video => video.srcObject") is None


def test_wrong_token_asks_for_the_right_one(new_page: NewPage, servers: Servers) -> None:
    page = new_page(servers("--token", "open-sesame").partition("?")[0]).open("?token=wrong")
    page.fails_with("token is missing, wrong or too old")
    assert "token" not in page.view.url
    page.view.fill("#token", "open-sesame")
    page.view.click("#token-form button")
    page.view.wait_for_selector("#failure", state="hidden")
    page.start()


def test_a_server_that_is_gone_is_named(new_page: NewPage) -> None:
    page = new_page().open()
    page.view.route("**/api/sessions", lambda route: route.abort())
    page.view.click("#start")
    page.fails_with("does not answer", "realtime-dub serve")


def test_no_path_to_the_server_hints_at_stun_and_turn(new_page: NewPage) -> None:
    page = new_page()
    page.view.add_init_script(
        "RTCPeerConnection.prototype.setRemoteDescription = async () => {};"
        "const later = window.setTimeout; window.setTimeout = (run, ms) => later(run, ms / 10);"
    )
    page.open().view.click("#start")
    page.fails_with("No path", "--stun", "--turn")


def test_a_lost_connection_is_tried_again_with_new_credentials(new_page: NewPage) -> None:
    page = new_page()
    page.view.add_init_script(
        "const Peer = window.RTCPeerConnection; window.RTCPeerConnection = class extends Peer {"
        "constructor(...given) { super(...given); window.peer = this; } };"
    )
    page.open().start()
    page.view.evaluate(
        "() => { Object.defineProperty(peer, 'connectionState', {value: 'failed', configurable: true});"
        "peer.dispatchEvent(new Event('connectionstatechange')); delete peer.connectionState; }"
    )
    page.until("performance.getEntriesByType('resource').some(entry => entry.name.endsWith('/ice'))")
    first, again = (sdp.split("a=ice-ufrag:")[1][:4] for sdp in (page.offers()[0], page.offers("/ice")[0]))
    assert first != again


def test_a_server_that_ends_is_waited_for_until_stop(new_page: NewPage, servers: Servers) -> None:
    address = servers()
    page = new_page(address).open().start()
    servers.end(address)
    page.until("document.getElementById('state-text').textContent === 'Interrupted, reconnecting'")
    assert page.view.eval_on_selector("#original", "video => video.srcObject.active")
    page.view.click("#start")
    page.until("document.getElementById('state-text').textContent === 'Ready'")
    assert page.view.eval_on_selector("#original", "video => video.srcObject") is None


def test_insecure_origin_is_explained(new_page: NewPage) -> None:
    page = new_page()
    page.view.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    page.open().fails_with("may not use a camera", "--tls-cert", "localhost")


def test_what_the_server_cannot_do_is_not_shown(new_page: NewPage) -> None:
    page = new_page()
    page.view.route("**/api/config", lambda route: route.fulfill(json={**route.fetch().json(), "features": []}))
    page.open()
    hidden = ["#record", "#group-enroll", "input[value=upload]", "input[value=room]"]
    assert [selector for selector in hidden if page.view.is_visible(selector)] == []


def test_no_camera_says_to_plug_one_in(playwright: Any, url: str) -> None:
    with browser.chromium(playwright, None) as running:
        context = running.new_context(permissions=["camera", "microphone"])
        page = Page(context, url).open()
        page.view.click("#start")
        page.fails_with("No camera was found", "Plug in")
