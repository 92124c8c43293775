"""What the server refuses: foreign origins and names, wrong tokens, nonsense, too much."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import wave
from typing import Any

import cv2
import pytest
from aiohttp import ClientSession, FormData
from faces import portrait
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from web_peers import HEADERS, Visitor, serving

from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.http.callers import CallerRates
from realtime_dub.web.http.connectivity import address
from realtime_dub.web.http.logs import JsonLines

TOKEN = "a-token-of-some-length"


async def ask(http: ClientSession, method: str, url: str, **more: Any) -> tuple[int, Any, Any]:
    async with http.request(method, url, allow_redirects=False, **more) as response:
        body = await response.read()
        told = json.loads(body) if response.content_type == "application/json" else body
        return response.status, told, response.headers


def test_answers_carry_the_policy_and_config_tells_what_there_is() -> None:
    async def test() -> None:
        async with serving(max_sessions=3) as (_, http, url):
            status, told, headers = await ask(http, "GET", f"{url}/api/config")
            assert status == 200
            assert headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert "Access-Control-Allow-Origin" not in headers
            names = [engine["name"] for engine in told["engines"]]
            assert names == ["mouthbank", "passthrough", "lipgan", "landmark-dub", "own-texture"]
            assert [each["ms"] for each in told["engines"][0]["look_aheads"]] == [0, 40, 80, 160]
            assert [each["ms"] for each in told["engines"][1]["look_aheads"]] == [0]
            least = [each["min_ms"] for each in told["engines"][0]["look_aheads"]]
            assert least == sorted(set(least))
            assert told["budgets"]["default_ms"] > told["budgets"]["min_ms"] > 100
            assert (told["sessions"], told["max_sessions"]) == (0, 3)
            assert "recording" in told["features"]
            assert "server-voice" not in told["features"]
            assert (await ask(http, "GET", f"{url}/healthz"))[0] == 200
            status, body, _ = await ask(http, "GET", f"{url}/metrics")
            assert status == 200
            assert b"realtime_dub_sessions 0.0" in body
            for path in ("/static/../session.py", "/static/%2e%2e/session.py", "/session.py", "/nothing"):
                assert (await ask(http, "GET", url + path))[0] == 404, path

    asyncio.run(test())


def test_foreign_origins_and_names_are_refused() -> None:
    async def test() -> None:
        async with serving() as (_, http, url):
            for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}):
                status, told, _ = await ask(http, "GET", f"{url}/api/config", headers=headers)
                assert status == 403, headers
                assert set(told["error"]) == {"what", "do"}
            assert (await ask(http, "GET", f"{url}/api/config", headers={"Origin": url}))[0] == 200
            status, told, _ = await ask(http, "POST", f"{url}/api/sessions", json={})
            assert (status, "X-Requested-With" in told["error"]["do"]) == (403, True)

    asyncio.run(test())


def test_without_the_token_only_the_health_is_told() -> None:
    async def test() -> None:
        async with serving(token=TOKEN) as (_, http, url):
            assert (await ask(http, "GET", f"{url}/healthz"))[0] == 200
            for more in ({}, {"headers": {"Authorization": "Bearer wrong"}}, {"params": {"token": TOKEN}}):
                assert (await ask(http, "GET", f"{url}/api/config", **more))[0] == 401, more
            async with http.get(f"{url}/?token=wrong") as page:  # which then asks for the token
                assert (page.status, "Set-Cookie" in page.headers) == (401, False)
                assert 'id="token-form"' in await page.text()
            async with http.get(f"{url}/static/main.js") as part:
                assert part.status == 200
            bearer = {"Authorization": f"Bearer {TOKEN}"}
            assert (await ask(http, "GET", f"{url}/api/config", headers=bearer))[0] == 200
            status, _, headers = await ask(http, "GET", f"{url}/?token={TOKEN}&room=booth")
            assert (status, headers["Location"]) == (302, "/?room=booth")
            assert "HttpOnly" in headers["Set-Cookie"]
            assert "SameSite=Strict" in headers["Set-Cookie"]
            cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
            assert (await ask(http, "GET", f"{url}/api/config", headers=cookie))[0] == 200

    asyncio.run(test())


def test_requests_are_limited() -> None:
    bucket = CallerRates(per_s=1, burst=3)
    assert [bucket.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take("b", 0.0)
    assert bucket.take("a", 1.5)
    assert not bucket.take("a", 1.6)
    bucket.spend("b", 100, 2.0)  # what costs more than it seemed is paid for later, but not for ever
    assert not bucket.take("b", 4.9)
    assert bucket.take("b", 7.1)

    async def test() -> None:
        async with serving() as (_, http, url):
            for _ in range(100):  # a page that is opened five times
                async with http.get(f"{url}/static/theme.js") as part:
                    assert part.status == 200
            statuses = [(await ask(http, "GET", f"{url}/healthz"))[0] for _ in range(80)]
            assert statuses[:50] == [200] * 50
            assert statuses[-1] == 429

    asyncio.run(test())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda sdp, options: json.dumps({"sdp": sdp, "type": "offer", "options": options}).encode(),
              st.text(max_size=200), JSON),
)  # fmt: skip


def damaged(sdp: str) -> st.SearchStrategy[str]:
    """An offer with lines lost, doubled, cut or exchanged."""
    lines = sdp.splitlines()

    def apply(changes: list[tuple[str, int, int]]) -> str:
        now = list(lines)
        for what, at, other in changes:
            at, other = at % len(now), other % len(now)
            if what == "drop" and len(now) > 1:
                del now[at]
            elif what == "double":
                now.insert(other, now[at])
            elif what == "cut":
                now[at] = now[at][: other % (len(now[at]) + 1)]
            else:
                now[at], now[other] = now[other], now[at]
        return "\r\n".join(now) + "\r\n"

    change = st.tuples(st.sampled_from(("drop", "double", "cut", "swap")), st.integers(0, 400), st.integers(0, 400))
    return st.lists(change, min_size=1, max_size=6).map(apply)


def test_nonsense_is_answered_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_dub.web.http.callers.CallerRates.take", lambda *_: True)

    async def test() -> None:
        async with serving() as (studio, http, url):
            loop = asyncio.get_running_loop()
            visitor = Visitor(http, url)
            await visitor.pc.setLocalDescription(await visitor.pc.createOffer())
            sdp = visitor.pc.localDescription.sdp

            async def send(body: bytes) -> None:
                status, told, _ = await ask(http, "POST", f"{url}/api/sessions", data=body, headers=HEADERS)
                assert status in (201, 400, 413, 422), (status, told)
                if status == 201:  # the damage was harmless
                    assert (await ask(http, "DELETE", f"{url}/api/sessions/{told['id']}", headers=HEADERS))[0] == 204
                else:
                    assert set(told["error"]) == {"what", "do"}
                assert studio.sessions == {}

            def blocking(body: bytes) -> None:
                asyncio.run_coroutine_threadsafe(send(body), loop).result(30)

            @settings(max_examples=25)
            @given(BODIES)
            def bodies(body: bytes) -> None:
                blocking(body)

            @settings(max_examples=25)
            @given(damaged(sdp))
            def offers(text: str) -> None:
                blocking(json.dumps({"sdp": text, "type": "offer"}).encode())

            try:
                await asyncio.to_thread(bodies)
                await asyncio.to_thread(offers)
                await send(b" " * 200_000)
            finally:
                await visitor.close()

    asyncio.run(test())


def sound_file(seconds: float = 0.5) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\x00\x10" * int(16_000 * seconds))
    return out.getvalue()


def test_uploads_are_looked_at_and_bounded() -> None:
    async def test() -> None:
        async with serving(upload_mb=1) as (studio, http, url):

            async def send(data: bytes, name: str) -> tuple[int, Any]:
                form = FormData()
                form.add_field("file", data, filename=name)
                return (await ask(http, "POST", f"{url}/api/uploads", data=form, headers=HEADERS))[:2]

            status, told = await send(sound_file(), "../../voice.wav")
            assert status == 201
            assert (told["kind"], told["seconds"]) == ("sound", 0.5)
            path = studio.uploads.find(told["id"], "sound")
            assert path.parent == studio.uploads._folder
            assert (await send(b"no sound at all", "voice.wav"))[0] == 422
            assert (await send(sound_file(), "voice.exe"))[0] == 415
            assert (await send(b"\0" * 1_500_000, "voice.wav"))[0] == 413
            kept = [each.name for each in await asyncio.to_thread(lambda: list(studio.uploads._folder.iterdir()))]
            assert kept == [path.name]
        assert not path.exists()

    asyncio.run(test())


def test_a_picture_speaks_an_uploaded_voice() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url):
            ids = []
            for name, data in (("v.wav", sound_file(1.0)), ("p.png", bytes(cv2.imencode(".png", portrait(240))[1]))):
                form = FormData()
                form.add_field("file", data, filename=name)
                status, told, _ = await ask(http, "POST", f"{url}/api/uploads", data=form, headers=HEADERS)
                assert status == 201, told
                ids.append(told["id"])
            visitor = Visitor(http, url, sends=False)
            try:
                await visitor.connect(voice=f"upload:{ids[0]}", picture=f"upload:{ids[1]}")
                await visitor.until(lambda: len(visitor.got.pictures) > 20)
                await visitor.until(lambda: any(np_max(each) > 1000 for _, _, each in visitor.got.sounds))
                assert await visitor.delete() == 204
            finally:
                await visitor.close()
            assert studio.uploads._kept == {}  # they go with the session

    asyncio.run(test())


def np_max(samples: Any) -> int:
    return int(abs(samples.astype(int)).max())


@pytest.mark.parametrize(
    "wrong",
    [{"voice": "upload:"}, {"voice": "room:../x"}, {"voice": "/etc/passwd"}, {"picture": "upload:../x"},
     {"engine": "other"}, {"look_ahead_ms": -1}, {"strength": 3}, {"silence": "loud"},
     {"face": "biggest"}, {"room": "a b"}, {"surprise": 1}],
)  # fmt: skip
def test_options_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SessionOptions(**wrong)


LOCAL = ["127.0.0.1", "::1", "localhost"]
FOREIGN = ["0.0.0.0", "::", "192.168.1.2", "studio.example"]


@pytest.mark.parametrize(("host", "local"), [(host, host in LOCAL) for host in LOCAL + FOREIGN])
def test_what_is_local(host: str, local: bool) -> None:
    assert ServeConfig(host=host).local is local


def test_the_address_names_the_token_and_the_log_does_not() -> None:
    assert address(ServeConfig(host="::1", token=TOKEN), 80) == f"http://[::1]:80/?token={TOKEN}"
    record = logging.makeLogRecord({"msg": "session opened", "session": "abcdefghijkl", "token": TOKEN, "sdp": "v=0"})
    line = json.loads(JsonLines().format(record))
    assert line["session"] == "abcdef"
    assert TOKEN not in str(line)
    assert "sdp" not in line
