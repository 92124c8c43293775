"""A viewer in Chromium who takes another channel again and again: the picture goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import browser
import numpy as np
import pytest
from on_a_thread import on_a_thread
from patience import PATIENCE_MS
from playwright import sync_api
from test_web_page import Page
from web_peers import serving

from realtime_dub.web.rtc.packets import Packet
from realtime_dub.web.rtc.shared_encoding import VideoStream

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed"),
]

CHANGES, PAUSE_S, LATE_S = 16, 0.9, 0.4
KEPT = """(() => { const Usual = RTCPeerConnection; window.peers = [];
    window.RTCPeerConnection = class extends Usual { constructor(...all) { super(...all); window.peers.push(this); } };
    document.addEventListener("DOMContentLoaded", () => {
        const video = document.getElementById("dubbed"), next = (_, told) => {
            window.shown.push(told.mediaTime);
            video.requestVideoFrameCallback(next);
        };
        window.shown = [];
        video.requestVideoFrameCallback(next);
    });
})()"""
SEEN = """async () => { for (const each of (await window.peers.at(-1).getStats()).values())
    if (each.type === "inbound-rtp" && each.kind === "video") return { ...each }; }"""
CHOOSE = """channel => { const list = document.getElementById("channel");
    list.value = channel; list.dispatchEvent(new Event("change")); }"""


def come(chromium: Any, url: str, query: str) -> Page:
    page = Page(chromium.new_context(permissions=["camera", "microphone"]), url)
    page.view.add_init_script(KEPT)
    return page.open(query)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames of the first timeline that is shown come LATE_S later than they were to, as on a busy machine."""
    give, timelines = VideoStream._give, list[object]()

    async def later(stream: VideoStream, packet: Packet) -> None:
        if stream._timeline not in timelines:
            timelines.append(stream._timeline)
        if stream._timeline is not timelines[0]:
            await give(stream, packet)
            return
        loop = asyncio.get_running_loop()
        loop.call_later(LATE_S, lambda: [take(packet) for take in tuple(stream._takers)])

    monkeypatch.setattr(VideoStream, "_give", later)


def test_a_viewer_who_changes_the_channel_again_and_again_sees_the_picture_go_on(tmp_path: Path, late: None) -> None:
    film = browser.camera_film(tmp_path / "face.y4m", 320, 240, 15, 2)
    voice = browser.voice_file(tmp_path / "voice.wav")
    with (
        on_a_thread(serving(max_channels=2)) as (_, _, url),
        sync_api.sync_playwright() as playwright,
        browser.chromium(playwright, film, voice) as chromium,
    ):
        speaker = come(chromium, url + "/", "?room=hall")
        speaker.view.select_option("#language-add", "es")
        speaker.view.click("#start")
        viewer = come(chromium, url + "/", "?role=viewer&room=hall&channel=floor")
        viewer.view.click("#start")
        viewer.view.wait_for_selector("#state[data-state=live]", timeout=PATIENCE_MS)
        come(chromium, url + "/", "?role=interpreter&room=hall&channel=es").view.click("#start")
        viewer.until("document.querySelector('#channel option[value=es]') !== null")
        viewer.view.wait_for_timeout(6_000)
        before, shown = viewer.view.evaluate(SEEN), viewer.view.evaluate("window.shown.length")
        for k in range(CHANGES):
            viewer.view.evaluate(CHOOSE, ("es", "floor")[k % 2])
            viewer.view.wait_for_timeout(1_000 * PAUSE_S)
        after, stamps = viewer.view.evaluate(SEEN), viewer.view.evaluate(f"window.shown.slice({shown})")
        there = {name: after[name] - before[name] for name in before if isinstance(after[name], (int, float))}
        steps = np.diff(stamps)
        print({name: there[name] for name in sorted(there) if name.startswith(("frames", "key", "freeze"))})
        print(len(steps), "steps, s:", np.percentile(steps, [0, 2, 50, 98, 100]).round(3))
        assert there["keyFramesDecoded"] >= CHANGES // 2  # other pictures were really shown
        assert there["framesDecoded"] > 8 * CHANGES * PAUSE_S
        assert there["freezeCount"] <= CHANGES // 4  # one for each second change, with the timelines' own stamps
