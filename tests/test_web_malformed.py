"""Whatever is sent, by any method to any route: an answer in the server's form, and nothing of it in the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession
from hypothesis import example, given, settings
from hypothesis import strategies as st
from raw_http import Answer, answer_of, ask, connect, leave
from web_peers import Visitor, serving

from realtime_dub.web import limits
from realtime_dub.web.http.callers import CallerRates
from realtime_dub.web.http.logs import JsonLines
from realtime_dub.web.studio.studio import Studio

TOKEN = "a-token-of-some-length"
HOST = b"Host: 127.0.0.1\r\n"
KNOWN = HOST + b"Authorization: Bearer " + TOKEN.encode() + b"\r\nX-Requested-With: realtime-dub\r\n"
ERROR = {"what", "do"}


@pytest.fixture(autouse=True)
def no_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_dub.web.http.callers.CallerRates.take", lambda *_: True)


def request(target: bytes, headers: bytes = KNOWN, method: bytes = b"GET", body: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return method + b" " + target + b" HTTP/1.1\r\n" + headers + length + b"\r\n" + body


def serve(visit: Callable[[str, Studio], Awaitable[None]], caplog: pytest.LogCaptureFixture, **config: Any) -> None:
    """Visit a server with a token, and look at its log as it would be written."""

    async def test() -> None:
        async with serving(token=TOKEN, **config) as (studio, _, url):
            await visit(url, studio)

    with caplog.at_level(logging.WARNING):
        asyncio.run(test())
    lines = "\n".join(JsonLines().format(record) for record in caplog.records)
    assert lines == ""


def check(answer: Answer, sent: bytes) -> None:
    assert 200 <= answer.status < 500, (answer, sent)
    if answer.status >= 400 and not sent.startswith(b"HEAD ") and answer.headers["content-type"] != "text/html":
        assert set(answer.told["error"]) == ERROR, (answer, sent)
    assert answer.headers["x-content-type-options"] == "nosniff", (answer, sent)


HOSTS = [
    rb"evil.com\@127.0.0.1", b"evil.com@127.0.0.1", b"127.0.0.1@evil.com", b"127.0.0.1:80@evil.com", b"127.0.0.1.",
    b"127.0.0.1:", b"127.0.0.1:x", b"127.0.0.1:80:80", b"127.0.0.1:123456", b"[::1", b"::1", b"[::1%25eth0]",
    b"[::1%eth0]", b"[::1]x", b"127.0.0.1/evil.com", b"evil.com#127.0.0.1", b"evil.com?127.0.0.1",
    b"localhost evil.com",
    b"localhost\tevil.com", b"localhost,evil.com", b"127.1", b"2130706433", b"0x7f.1", b"%6cocalhost", b"",
    b"localhost\x80", "l\u043ecalhost".encode(), b"127.0.0.1\r\nHost: evil.com", b"evil.com\r\nHost: 127.0.0.1",
]  # fmt: skip


def test_only_the_own_names_pass(caplog: pytest.LogCaptureFixture) -> None:
    async def visit(url: str, studio: Studio) -> None:
        for host in HOSTS:
            answer = await ask(url, request(b"/api/config", KNOWN.replace(b"127.0.0.1", host, 1)))
            assert answer.status in (400, 403), (host, answer)
        for host in (b"127.0.0.1", b"localhost:1", b"LOCALHOST", b"[::1]:8080"):
            assert (await ask(url, request(b"/api/config", KNOWN.replace(b"127.0.0.1", host, 1)))).status == 200, host
        for target in (
            b"http://evil.com/api/config",
            b"http://127.0.0.1/api/config",
            b"HTTP://evil.com@127.0.0.1/api/config",
        ):
            assert (await ask(url, request(target))).status in (400, 403), target
        for origin in (rb"http://evil.com\@127.0.0.1", b"http://127.0.0.1.", b"file://127.0.0.1", b"null", b""):
            answer = await ask(url, request(b"/api/config", KNOWN + b"Origin: " + origin + b"\r\n"))
            assert answer.status == 403, (origin, answer)

    serve(visit, caplog)


def test_a_server_for_one_address_of_this_machine_is_found_under_it() -> None:
    async def test() -> None:
        async with serving(host="127.0.0.2") as (_, _, url):
            url = url.replace("127.0.0.1", "127.0.0.2")
            assert (await ask(url, request(b"/api/config", b"Host: 127.0.0.2\r\n"))).status == 200

    asyncio.run(test())


BAD_HEADERS = [
    b"Authorization: Bearer \xe4\xff\r\n", b"Authorization: \xff\r\n", b"Authorization: Bearer \xf0\x9f\x98\x80\r\n",
    b"Cookie: realtime-dub-token=\xff\xfe\r\n", b"Cookie: \xff\r\n", b'Cookie: realtime-dub-token="\\777\\\r\n',
    b"Cookie: a b=c; =; ;;,=\x01\r\n", b"Cookie: realtime-dub-token=" + b"x" * 8_000 + b"\r\n",
]  # fmt: skip


def test_no_token_of_any_letters_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def visit(url: str, studio: Studio) -> None:
        for headers in BAD_HEADERS:
            for target in (b"/api/config", b"/", b"/?token=%ff%00&token=\xff&token=" + "ä".encode()):
                answer = await ask(url, request(target, HOST + headers))
                assert answer.status in (400, 401), (headers, target, answer)

    serve(visit, caplog)


PARTS = [b"%00", b"a%00.js", b"x" * 4_000, b"..%2fconfig.py", b"%2e%2e/config.py", b"../config.py", b"..%5cconfig.py",
         b"%ff.js", b"\xff.js", b"%ed%a0%80", b"main.js%00", b"main.js/", b"./main.js%2f", b"%2fetc%2fpasswd",
         b"//etc/passwd", b"CON", b"main.js%20", b".", b"%", b"%zz", b"vendor"]  # fmt: skip


ODD_HEADERS = [b"Range: bytes=%s-\r\n" % (b"9" * 5_000), b"If-Modified-Since: Thu, 01 Jan 99999999999 00:00:00 GMT\r\n",
               b"If-Range: Thu, 99 Jan 0000 00:00:00 GMT\r\n", b"If-None-Match: \xff\r\n", b"Range: bytes=-\xff\r\n",
               b"Accept-Encoding: \xff\r\n", b"Expect: the-unexpected\r\n"]  # fmt: skip


def test_no_other_file_is_ever_opened(caplog: pytest.LogCaptureFixture) -> None:
    async def visit(url: str, studio: Studio) -> None:
        for part in PARTS:
            for target in (b"/static/" + part, b"/" + part, b"/api/recordings/" + part):
                check(answer := await ask(url, request(target)), target)
                assert answer.status == (400 if b"\xff" in part else 404), (target, answer)
        assert (await ask(url, request(b"/static/main.js"))).status == 200
        for headers in ODD_HEADERS:
            check(await ask(url, request(b"/static/main.js", KNOWN + headers)), headers)

    serve(visit, caplog)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
WHIP = b"POST /whip/a HTTP/1.1\r\n" + KNOWN + b"Content-Type: application/sdp\r\n" + CHUNKED + b"\r\n"
BROKEN = [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
          b"GET / HTTP/1.1\r\n\r\n",
          b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"GET  /  HTTP/1.1\r\n\r\n",
          b"GET / HTTP/1.1\r\n" + HOST + b"A\x00b: c\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n",
          b"GET /%s HTTP/1.1\r\n" % (b"a" * 9_000) + HOST + b"\r\n", b"G" * 9_000 + b"\r\n\r\n",
          b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 9_000 + b"\r\n\r\n",
          b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 200 + b"\r\n",
          b"POST /api/sessions HTTP/1.1\r\n" + KNOWN + b"Content-Length: -1\r\n\r\n",
          b"POST /api/sessions HTTP/1.1\r\n" + KNOWN + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
          b"POST /api/sessions HTTP/1.1\r\n" + KNOWN + b"Content-Length: %s\r\n\r\n" % (b"9" * 50),
          b"POST /api/sessions HTTP/1.1\r\n" + KNOWN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
          WHIP + b"zz\r\n", WHIP + b"1\r\nabc",
          b"CONNECT evil.com:443 HTTP/1.1\r\n" + KNOWN + b"\r\n", b"CONNECT \\ HTTP/1.1\r\n" + KNOWN + b"\r\n",
          b"GET evil HTTP/1.1\r\n" + KNOWN + b"\r\n", b"OPTIONS * HTTP/1.1\r\n" + KNOWN + b"\r\n",
          b"GET http://[::1 HTTP/1.1\r\n" + KNOWN + b"\r\n",
          b"GET / HTTP/1.1\r\n" + KNOWN + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n\xff\xff",
          b"GET /api/config HTTP/1.1\r\n" + KNOWN + b"Sec-WebSocket-Key1: a\r\n\r\n"]  # fmt: skip


def test_what_is_no_http_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def visit(url: str, studio: Studio) -> None:
        for sent in BROKEN:
            check(await ask(url, sent), sent)

    serve(visit, caplog)


def chunks(size: int, count: int) -> bytes:
    return (b"%x\r\n" % size + b"a" * size + b"\r\n") * count


def test_a_body_in_the_smallest_chunks_is_not_read_to_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def visit(url: str, studio: Studio) -> None:
        whole = await ask(url, WHIP + chunks(4_000, 3) + chunks(1, 20) + b"0\r\n\r\n")
        assert whole.status == 400  # read, and no SDP
        streams = await connect(url, WHIP)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 40:
                streams[1].write(chunks(1, 1_000))  # 6 kB for 1 kB
                await streams[1].drain()
                await asyncio.sleep(0.01)
                sent += 1
        assert sent < 20
        assert (await answer_of(streams)).status == 0
        leave(streams)

    spent: list[float] = []
    monkeypatch.setattr(CallerRates, "spend", lambda rates, caller, amount, now_s: spent.append(amount))
    serve(visit, caplog)
    assert spent == [limits.WASTED_CONNECTIONS]  # or the next of them would come at once


ROUTES = [b"/", b"/healthz", b"/metrics", b"/api/config", b"/api/sessions", b"/api/sessions/%s",
          b"/api/sessions/%s/candidates",
          b"/api/sessions/%s/ice", b"/api/sessions/%s/recording", b"/api/recordings/%s", b"/api/sessions/%s/enroll",
          b"/api/sessions/%s/bank", b"/api/uploads", b"/whip/%s", b"/whip/room/%s", b"/whep/%s", b"/whep/room/%s",
          b"/static/%s", b"/%s"]  # fmt: skip
OF_SESSIONS = [route for route in ROUTES if route.startswith(b"/api/sessions/%s/") and not route.endswith(b"ice")]
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND", b"get"]
KINDS = [b"application/json", b"application/sdp", b"application/trickle-ice-sdpfrag", b"multipart/form-data",
         b"multipart/form-data; boundary=a", b"\xff", b"text/plain; charset=\xff"]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=12)
    | st.sampled_from(["\ud800", "offer", "studio", "upload:x", 10**400, 1e308, -0.0, "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)  # fmt: skip
NAMES = ["sdp", "type", "options", "candidate", "action", "seconds", "strength", "budget_ms", "voice", "room", "role"]
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)
OFFERS = st.builds(lambda options: {"sdp": "v=0", "type": "offer", "options": options}, OBJECTS)
BODIES = st.one_of(
    st.binary(max_size=60),
    (VALUES | OBJECTS | OFFERS).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.sampled_from([b"[" * 5_000, b'{"a":' * 5_000, b"9" * 5_000, b'{"type": "offer", "type": "x"}', b"\xff\xfe{\0}\0",
                     b'{"strength": NaN}', b'{"seconds": Infinity}', b'"\\ud800"', b"\xef\xbb\xbf{}", b" " * 200_000]),
)  # fmt: skip
QUERIES = st.sampled_from(
    [b"", b"?", b"?token", b"?token=%ff", b"?role=%00&role=viewer", b"?%zz=&&=#%", b"?" + b"a&" * 500]
)


def test_every_route_answers_whatever_it_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    async def visit(url: str, studio: Studio) -> None:
        loop = asyncio.get_running_loop()

        async def send(data: bytes) -> None:
            check(await ask(url, data), data)
            assert studio.sessions == {}

        @settings(max_examples=400)
        @given(
            st.sampled_from(ROUTES),
            st.sampled_from(METHODS),
            st.sampled_from(PARTS),
            st.sampled_from(KINDS),
            BODIES,
            QUERIES,
        )
        @example(b"/api/sessions", b"POST", b"", KINDS[0], b'{"sdp": "\\ud800", "type": "offer"}', b"")
        def anything(route: bytes, method: bytes, part: bytes, kind: bytes, body: bytes, query: bytes) -> None:
            target = (route % part if b"%s" in route else route) + query
            headers = KNOWN + b"Content-Type: " + kind + b"\r\n"
            data = request(target.replace(b" ", b"%20"), headers, method, body)
            asyncio.run_coroutine_threadsafe(send(data), loop).result(30)

        await asyncio.to_thread(anything)

    serve(visit, caplog, max_sessions=1)


def test_a_session_bears_whatever_it_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    async def visit(url: str, studio: Studio) -> None:
        loop = asyncio.get_running_loop()
        async with ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            visitor = Visitor(http, url, sends=False)
            told = await visitor.connect(role="interpreter", room="booth")
            session = told["id"].encode()

            @settings(max_examples=150)
            @given(st.sampled_from(OF_SESSIONS), st.sampled_from(METHODS), st.sampled_from(KINDS), BODIES)
            def anything(route: bytes, method: bytes, kind: bytes, body: bytes) -> None:
                headers = KNOWN + b"Content-Type: " + kind + b'\r\nIf-Match: "\xff"\r\n'
                data = request(route % session, headers, method, body)
                check(asyncio.run_coroutine_threadsafe(ask(url, data), loop).result(30), data)

            try:
                await asyncio.to_thread(anything)
                for end in (b"/whip/other/%s", b"/whip/booth/%s", b"/whep/booth/%s"):
                    assert (await ask(url, request(end % session, KNOWN, b"DELETE"))).status == 404
                assert not studio.find(told["id"]).closed
            finally:
                await visitor.close()

    serve(visit, caplog)
