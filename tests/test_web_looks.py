"""The studio's page as a person sees it, in a real Chromium: what is in view, reached, kept, not done by accident."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from patience import PATIENCE_MS
from PIL import Image
from test_web_page import POLL_MS, Page, chromium, film, new_page, playwright, pytestmark, servers, url

__all__ = ["chromium", "film", "new_page", "playwright", "pytestmark", "servers", "url"]  # fixtures

SIZES = {"desk": (1440, 900), "laptop": (1280, 720), "tablet": (1024, 768), "phone": (390, 844), "small": (360, 640)}
SIZES |= {"turned": (844, 390), "narrow": (320, 568), "zoomed": (720, 450), "laptop zoomed": (640, 360)}
PHONES = ("phone", "small", "turned", "narrow", "zoomed")
GERMAN = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
HEBREW = "חדר-ישיבות"
WHOLE = r"^[A-Z].*[.!?…]$"


def make(chromium: Any, url: str) -> Page:
    context = chromium.new_context(permissions=["camera", "microphone"], color_scheme="light")
    return Page(context, url).open()


@pytest.fixture(scope="module")
def idle(chromium: Any, url: str) -> Iterator[Page]:
    """One page before Start, for all tests that change no more than its size and colours."""
    page = make(chromium, url)
    yield page
    assert page.complaints == []
    page.close()


@pytest.fixture(scope="module")
def running(chromium: Any, url: str) -> Iterator[Page]:
    """One page that is live, for all tests that leave it so, and without the focus anywhere."""
    page = make(chromium, url).start()
    yield page
    assert page.complaints == []
    page.close()


def size(page: Page, name: str) -> None:
    width, height = SIZES[name]
    page.view.set_viewport_size({"width": width, "height": height})
    page.view.evaluate("() => { scrollTo(0, 0); document.activeElement.blur(); }")


def box(page: Page, selector: str) -> Any:
    return page.view.locator(selector).bounding_box()


def bottom(page: Page, selector: str) -> float:
    return float(box(page, selector)["y"] + box(page, selector)["height"])


def seen(page: Page, selector: str) -> np.ndarray:
    """(height, width, 3): the pixels of an element."""
    return np.asarray(Image.open(io.BytesIO(page.view.locator(selector).first.screenshot())).convert("RGB"))


def is_live(page: Page) -> bool:
    page.view.wait_for_timeout(150)
    return bool(page.view.get_attribute("#state", "data-state") == "live")


# What is in view.


@pytest.mark.parametrize("name", ["desk", "laptop"])
def test_voice_and_budget_are_in_view_without_scrolling(idle: Page, name: str) -> None:
    size(idle, name)
    assert bottom(idle, "#group-voice") <= SIZES[name][1]
    assert bottom(idle, "#budget-hint") <= SIZES[name][1]


@pytest.mark.parametrize("name", SIZES)
def test_the_toolbar_is_one_row_and_nothing_is_beyond_the_edge(idle: Page, running: Page, name: str) -> None:
    for page in (idle, running):
        size(page, name)
        assert page.check("toolbarRows") == 1
        assert box(page, ".brand")["height"] < 40  # one line
        assert page.check("toolbarEnd") <= SIZES[name][0]
        assert page.check("sideways") == []


def test_charts_are_there_while_something_is_measured(idle: Page, running: Page) -> None:
    for name in ("desk", "phone"):
        size(idle, name)
        size(running, name)
        assert not idle.view.is_visible(".charts")
        assert running.view.is_visible(".charts")
    size(idle, "desk")
    assert idle.view.is_visible(".steps")


@pytest.mark.parametrize("name", PHONES)
def test_on_a_phone_both_pictures_are_whole_and_the_settings_come_before_the_charts(running: Page, name: str) -> None:
    size(running, name)
    for aspect in (9 / 16, 3 / 4, 4 / 3, 16 / 9):  # the camera's, which a phone turns with itself
        running.view.eval_on_selector("#stage", "(stage, it) => stage.style.setProperty('--aspect', it)", aspect)
        for picture in ("#original", "#dubbed"):
            assert bottom(running, picture) <= box(running, ".transport")["y"], (picture, aspect)
            shape = box(running, picture)
            assert shape["width"] / shape["height"] == pytest.approx(aspect, rel=0.03)
    running.view.eval_on_selector("#stage", "stage => stage.style.setProperty('--aspect', 4 / 3)")
    assert bottom(running, ".panel") <= box(running, ".charts")["y"]


def test_who_speaks_for_somebody_goes_on_reading_what_to_do(new_page: Any) -> None:
    page = new_page().open("?role=interpreter&room=hall")
    page.view.click("#start")
    page.until("document.getElementById('state').textContent.includes('Waiting for the sender')")
    assert box(page, "#welcome")["height"] > 150


def test_figures_go_with_the_session(new_page: Any) -> None:
    page = new_page().open().start()
    page.until("parseInt(document.getElementById('v-latency').textContent) > 0")
    page.view.keyboard.press("Enter")  # the button that began it has the focus still
    page.view.wait_for_selector("#welcome", state="visible")
    assert page.view.get_attribute("#meter", "aria-valuenow") == "0"
    assert page.view.eval_on_selector_all(".card strong", "all => all.map(each => each.textContent)") == ["–"] * 5
    said = page.view.eval_on_selector_all(".card canvas", "all => all.map(each => each.ariaLabel)")
    assert all("no data yet" in words for words in said), said


# The own view.


def test_the_own_view_is_a_mirror_and_what_is_sent_is_not(running: Page) -> None:
    size(running, "desk")
    sent = running.view.eval_on_selector(
        "#original",
        """video => { const canvas = Object.assign(document.createElement("canvas"), {width: 32, height: 24});
        canvas.getContext("2d").drawImage(video, 0, 0, 32, 24);
        return [...canvas.getContext("2d").getImageData(0, 0, 32, 24).data]; }""",
    )
    camera = np.reshape(sent, (24, 32, 4))[..., :3].astype(float)

    def is_mirrored(selector: str) -> bool:
        shown = np.asarray(Image.fromarray(seen(running, selector)).resize((32, 24)), float)
        return bool(np.abs(shown - camera[:, ::-1]).mean() < np.abs(shown - camera).mean())

    assert is_mirrored("#original")
    assert not is_mirrored("#dubbed")
    running.view.uncheck("#mirror")
    assert not is_mirrored("#original")
    running.view.check("#mirror")
    running.view.check("input[value=swipe]", force=True)
    assert not is_mirrored("#original")  # the two lie over each other
    running.view.check("input[value=side]", force=True)


# What is kept.


def test_settings_are_there_again_and_nothing_private_is_kept(new_page: Any) -> None:
    page = new_page().open("?room=secret-room")
    page.view.uncheck("#processing")
    page.view.uncheck("#mirror")
    page.view.check("#raise")
    page.view.check("input[value=swipe]", force=True)
    page.view.check("input[name=voice][value=room]")
    page.view.select_option("#face", "left")
    page.view.select_option("#silence", "rest")
    page.view.eval_on_selector("#strength", "s => { s.value = 0.5; s.dispatchEvent(new Event('input')); }")
    page.view.eval_on_selector("#budget", "s => { s.value = 420; s.dispatchEvent(new Event('input')); }")
    kept = page.view.evaluate("() => JSON.stringify(localStorage)")
    assert "secret" not in kept
    page.open()
    assert page.view.evaluate("() => [processing, mirror, raise].map(each => each.checked)") == [False, False, True]
    values = (
        "() => [face.value, strength.value, stage.dataset.view, document.querySelector('[name=voice]:checked').value]"
    )
    assert page.view.evaluate(values) == ["left", "0.5", "swipe", "room"]
    assert page.text("#budget-value") == "420 ms"
    page.start()
    options = page.sent("POST", "/api/sessions")[0]["options"]
    assert (options["face"], options["strength"], options["budget_ms"]) == ("left", 0.5, 420)
    assert options["silence"] == "rest"
    assert "engine" not in options  # the server's own, as it was not chosen


@pytest.mark.parametrize(
    "kept",
    [
        "no json",
        "[]",
        "null",
        json.dumps({"version": 0, "face": "left"}),
        json.dumps({"version": 1, "face": "<b>", "strength": 1e9, "budget_ms": "400", "voice": "upload", "view": 7}),
        json.dumps({"version": 1, "engine": "gone", "look_ahead_ms": 77, "budget_ms": 3, "microphone": "gone"}),
        json.dumps({"version": 1, "__proto__": {"face": "left"}, "constructor": 1, "camera": "x" * 9000}),
    ],
)
def test_what_cannot_be_is_not_taken_from_what_is_kept(idle: Page, kept: str) -> None:
    before = idle.view.evaluate("() => [face.value, strength.value, budget.value, engine.value, camera.value]")
    idle.view.evaluate("kept => localStorage.setItem('settings', kept)", kept)
    idle.open()
    assert idle.view.evaluate("() => [face.value, strength.value, budget.value, engine.value, camera.value]") == before
    assert idle.view.is_checked("input[value=mic]")
    assert idle.complaints == []
    idle.view.evaluate("() => localStorage.clear()")


def test_settings_can_be_forgotten(new_page: Any) -> None:
    page = new_page().open()
    page.view.uncheck("#mirror")
    page.view.click("#help")
    page.view.click("#prefs-forget")
    page.open()
    assert page.view.is_checked("#mirror")


# Keys.


@pytest.mark.parametrize("control", ["#strength", "#budget", "#processing", "#face", "input[name=voice]", "#room"])
def test_a_key_on_a_control_is_the_controls_own(running: Page, control: str) -> None:
    size(running, "desk")
    running.view.eval_on_selector("#voice-room", "field => { field.hidden = false; }")
    theme = running.view.evaluate("() => document.documentElement.dataset.theme")
    running.view.focus(control)
    for key in ("s", "t", "m"):
        running.view.keyboard.press(key)
    assert is_live(running)
    assert running.view.evaluate("() => document.documentElement.dataset.theme") == theme
    assert running.view.get_attribute("#mute", "aria-pressed") == "false"
    running.view.eval_on_selector("#voice-room", "field => { field.hidden = true; }")


def test_what_a_pointer_has_moved_gives_the_keys_back(running: Page) -> None:
    size(running, "desk")
    running.view.click(".segments label:nth-child(2)")
    running.view.wait_for_selector("#swipe:visible")
    running.view.click("#swipe")
    running.until("document.activeElement.id !== 'swipe'")
    before = float(running.view.input_value("#swipe"))
    running.view.keyboard.press("ArrowRight")
    assert float(running.view.input_value("#swipe")) == before + 4
    for view in ("dubbed", "side"):
        running.view.keyboard.press("c")
        assert running.view.get_attribute("#stage", "data-view") == view


@pytest.mark.parametrize("held", ["shift", "ctrl", "alt", "meta"])
def test_a_key_with_a_modifier_is_none_of_ours(running: Page, held: str) -> None:
    size(running, "desk")
    for key in ("s", "e", "m", "r"):
        running.view.evaluate(
            """([held, key]) => document.body.dispatchEvent(new KeyboardEvent("keydown", {
            key, [held]: true, bubbles: true, cancelable: true}))""",
            [f"{held}Key", key.upper() if held == "shift" else key],
        )
    assert is_live(running)
    assert running.view.get_attribute("#mute", "aria-pressed") == "false"
    assert not running.sent("POST", "/enroll")


def test_a_key_that_is_held_down_ends_nothing(new_page: Any) -> None:
    page = new_page().open()
    page.view.focus("#start")
    page.view.keyboard.down("Enter")
    for _ in range(20):  # as a keyboard repeats
        page.view.wait_for_timeout(100)
        page.view.keyboard.down("Enter")
    page.view.keyboard.up("Enter")
    page.view.wait_for_selector("#state[data-state=live]")
    assert len(page.sent("POST", "/api/sessions")) == 1
    assert page.view.evaluate("() => document.activeElement.id") == "start"  # the focus is where it was


# Without a mouse, and with the system's own colours.


@pytest.mark.parametrize("name", ["desk", "laptop", "phone", "turned"])
def test_whatever_scrolls_is_scrolled_by_keys(idle: Page, running: Page, name: str) -> None:
    for page in (idle, running):
        size(page, name)
        assert page.check("stuckScrollers") == []
    idle.view.click("#help")
    assert idle.check("stuckScrollers") == []
    idle.view.keyboard.press("Escape")


@pytest.mark.parametrize("name", ["desk", "phone", "turned"])
def test_what_has_the_focus_is_seen(running: Page, name: str) -> None:
    size(running, name)
    running.view.focus(".skip")
    covered, ids = [], []
    for _ in range(36):
        running.view.keyboard.press("Tab")
        ids.append(running.view.evaluate("() => document.activeElement.id"))
        if running.view.evaluate("() => document.activeElement !== document.body") and (
            what := running.check("hidesFocus")
        ):
            covered.append(what)
    assert covered == []
    order = [ids.index(id) for id in ("theme", "help", "start", "budget", "camera", "microphone", "strength", "engine")]
    assert order == sorted(order)  # as one reads


@pytest.mark.parametrize("name", ["desk", "phone", "narrow"])
def test_whatever_is_pressed_is_large_enough(idle: Page, running: Page, name: str) -> None:
    for page in (idle, running):
        size(page, name)
        assert page.check("smallTargets") == []


def test_what_speaks_by_itself_does_not_count(idle: Page) -> None:
    assert idle.check("talkative") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_while_it_is_live_and_where_something_is_wrong(running: Page, scheme: str) -> None:
    size(running, "desk")
    running.view.emulate_media(color_scheme=scheme)
    running.view.eval_on_selector(
        "#notice", "it => { it.dataset.kind = 'problem'; it.textContent = 'Something is wrong.'; }"
    )
    running.view.eval_on_selector_all(".says-file", "all => all.forEach(it => { it.dataset.kind = 'problem'; })")
    for _ in range(PATIENCE_MS // POLL_MS):  # colours go over into each other
        running.view.wait_for_timeout(POLL_MS)
        if not (pale := running.check("paleTexts")):
            break
    assert pale == []
    running.view.emulate_media(color_scheme="light")


def test_nothing_moves_for_who_wants_no_motion(running: Page) -> None:
    running.view.emulate_media(reduced_motion="reduce")
    running.view.eval_on_selector("#state", "pill => { pill.dataset.state = 'busy'; }")
    running.view.eval_on_selector("#rec-badge", "badge => { badge.hidden = false; }")
    assert running.view.evaluate("() => document.getAnimations().length") == 0
    running.view.eval_on_selector("#rec-badge", "badge => { badge.hidden = true; }")
    running.view.eval_on_selector("#state", "pill => { pill.dataset.state = 'live'; }")
    running.view.emulate_media(reduced_motion="no-preference")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_with_the_systems_colours_every_control_is_seen_and_so_is_its_state(idle: Page, scheme: str) -> None:
    size(idle, "desk")
    idle.view.emulate_media(forced_colors="active", color_scheme=scheme)
    states = {"#processing": "element.checked = !element.checked", "#keys-on": "element.checked = !element.checked"}
    states |= {
        "#strength": "element.value = 0",
        "#mute": "element.ariaPressed = 'true'; element.disabled = false",
    }
    states |= {"#meter": "element.style.setProperty('--level', 0.9)", "#engine": None, "#budget-bar": None}
    idle.view.evaluate("() => document.getElementById('help-dialog').showModal()")
    keys = {"#keys-on"}
    for dialog in (True, False):
        for selector, change in ((each, what) for each, what in states.items() if (each in keys) == dialog):
            before = seen(idle, selector)
            assert np.ptp(before.reshape(-1, 3), axis=0).max() > 60, f"{selector} is one colour"
            if change:
                idle.view.eval_on_selector(selector, f"element => {{ {change}; }}")
                after = seen(idle, selector)
                assert (np.abs(before.astype(int) - after).max(axis=2) > 60).mean() > 0.01, f"{selector} looks the same"
        idle.view.evaluate("() => document.getElementById('help-dialog').close()")
    for selector in ("#start span", ".brand span", ".segments :checked ~ span", ".choices span", "#group-voice h2"):
        assert np.ptp(seen(idle, selector)[4:-4, 3:-3].reshape(-1, 3), axis=0).max() > 60, f"{selector} cannot be read"
    chosen, other = (seen(idle, f".segments label:nth-child({n})") for n in (1, 2))
    assert np.abs(chosen[3, 20].astype(int) - other[3, 20]).max() > 60
    idle.view.emulate_media(forced_colors="none", color_scheme="light")
    idle.open()


# Words of any length and direction.


@pytest.mark.parametrize("name", ["desk", "tablet", "phone", "narrow"])
def test_long_words_stay_on_the_page(running: Page, name: str) -> None:
    size(running, name)
    running.view.evaluate(
        """word => { for (const id of ["camera", "microphone"]) document.getElementById(id).options[0].text = word;
        document.getElementById("notice").textContent = word;
        document.getElementById("counsel").hidden = document.getElementById("counsel-take").hidden = false;
        document.getElementById("counsel-text").textContent = word;
        for (const id of ["voice-upload", "voice-room", "field-still"]) document.getElementById(id).hidden = false;
        for (const each of document.querySelectorAll(".file-name, .says-file, #room-hint")) each.textContent = word;
        document.getElementById("room").value = word; }""",
        GERMAN,
    )
    assert running.check("sideways") == []
    running.view.evaluate(
        """() => { document.getElementById("notice").textContent = "";
        for (const id of ["voice-upload", "voice-room", "field-still", "counsel"]) window[id].hidden = true; }"""
    )


def test_a_room_is_named_in_any_script_and_keeps_its_name_while_it_is_live(running: Page) -> None:
    size(running, "desk")
    running.view.click("#start")
    running.view.wait_for_selector("#state[data-state=idle]")
    running.view.check("input[name=voice][value=room]")
    running.view.fill("#room", HEBREW)
    assert running.view.eval_on_selector("#room", "field => getComputedStyle(field).direction") == "rtl"
    running.start()
    options = running.sent("POST", "/api/sessions")[-1]["options"]
    assert (options["room"], options["voice"]) == (HEBREW, f"room:{HEBREW}")
    assert running.view.eval_on_selector("#room", "field => field.readOnly")
    running.view.check("input[name=voice][value=mic]")


def test_a_refusal_is_read_as_sentences(running: Page) -> None:
    running.view.eval_on_selector("#budget", "s => { s.min = 10; s.value = 20; s.dispatchEvent(new Event('input')); }")
    running.until("document.getElementById('notice').textContent.includes('cannot hold')")
    assert running.view.evaluate(f"() => /{WHOLE}/.test(document.getElementById('notice').textContent)")
    assert [each for each in running.complaints if "422" not in each] == []
    running.complaints.clear()
