"""What a visitor takes along: a recording with both tracks, and the bank of the own mouth."""

from __future__ import annotations

import asyncio
import io
import zipfile
from pathlib import Path

import av
import pytest
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, Visitor, serving

from realtime_dub.errors import BundleError
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.trust import consent
from realtime_dub.web.studio import banks
from realtime_dub.web.studio.session import Session


def bank_of(session: Session) -> Bank | None:
    return session._enrolment.known.get("mouthbank")


def test_a_recording_plays_with_both_tracks(tmp_path: Path) -> None:
    async def test() -> bytes:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            await visitor.until(lambda: len(visitor.got.pictures) > 5)
            at = f"{url}/api/sessions/{visitor.id}/recording"
            assert (await ask(http, "POST", at, json={"action": "stop"}, headers=HEADERS))[0] == 409
            assert (await ask(http, "POST", at, json={"action": "sing"}, headers=HEADERS))[0] == 400
            assert (await ask(http, "POST", at, json={"action": "start"}, headers=HEADERS))[1]["state"] == "recording"
            count = len(visitor.got.pictures)
            await visitor.until(lambda: len(visitor.got.pictures) > count + 30)
            assert visitor.got.stats[-1]["recording"] is True
            await visitor.patch(budget_ms=450)  # another pipeline takes over; the recording goes on
            await visitor.until(lambda: visitor.got.stats[-1]["budget_ms"] == 450)
            count = len(visitor.got.pictures)
            await visitor.until(lambda: len(visitor.got.pictures) > count + 30)
            status, told, _ = await ask(http, "POST", at, json={"action": "stop"}, headers=HEADERS)
            assert (status, told["state"]) == (200, "stopped")
            assert await visitor.delete() == 204
            status, film, headers = await ask(http, "GET", url + told["url"])  # the session is over, the film is there
            assert status == 200
            assert "attachment" in headers["Content-Disposition"]
            assert (await ask(http, "GET", f"{url}/api/recordings/other"))[0] == 404
            return film

    film = tmp_path / "film.mp4"
    film.write_bytes(asyncio.run(test()))
    with av.open(str(film)) as container:
        seconds = {stream.type: float(stream.duration * stream.time_base) for stream in container.streams}
        stamps = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    assert len(stamps) > 50
    assert stamps == sorted(set(stamps))
    assert abs(seconds["video"] - seconds["audio"]) < 0.15
    assert seconds["video"] > 2


def test_a_person_is_learnt_and_taken_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url, height=480)) as visitor:
            await visitor.connect()
            await visitor.until(lambda: len(visitor.got.pictures) > 5)
            at = f"{url}/api/sessions/{visitor.id}"
            status, told, _ = await ask(
                http, "POST", f"{at}/enroll", json={"seconds": 2, "consent": True}, headers=HEADERS
            )
            assert (status, told) == (200, {"state": "learning"})
            await visitor.until(lambda: any(stats["enroll"] for stats in visitor.got.stats))
            await visitor.until(lambda: visitor.got.stats[-1]["enroll"] is None)
            assert bank_of(studio.find(visitor.id)).frozen
            assert visitor.got.stats[-1]["budget_ms"] > 150  # none was asked for
            status, bank, headers = await ask(http, "GET", f"{at}/bank")
            assert (status, headers["Content-Type"]) == (200, "application/octet-stream")
            loaded = await asyncio.to_thread(banks.from_bytes, bank, "mouthbank")
            assert loaded.neutral.shape == (478, 3)
            assert (await asyncio.to_thread(consent.read, loaded.consent, loaded.subject))[1] == "given"
            assert (await ask(http, "PUT", f"{at}/bank", data=bank, headers=HEADERS))[1] == {"state": "loaded"}
            assert (await ask(http, "PUT", f"{at}/bank", data=b"no bank", headers=HEADERS))[0] == 422
            assert (await ask(http, "POST", f"{at}/enroll", json={"seconds": 900}, headers=HEADERS))[0] == 400
            status, told, _ = await ask(http, "DELETE", f"{at}/bank", headers=HEADERS)
            assert (status, told["state"]) == (200, "forgotten")
            assert "the face is forgotten (agreed to at " in told["proof"]
            assert not bank_of(studio.find(visitor.id)).consent
            assert await visitor.delete() == 204

    asyncio.run(test())


@pytest.mark.slow
def test_what_is_learnt_outlives_the_runs_it_was_learnt_in() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url, height=480)) as visitor:
            await visitor.connect()
            session = studio.find(visitor.id)
            await visitor.until(lambda: bank_of(session) is not None and bank_of(session).neutral is not None)
            at = f"{url}/api/sessions/{visitor.id}"
            await ask(http, "POST", f"{at}/enroll", json={"seconds": 1}, headers=HEADERS)
            await visitor.patch(budget_ms=750)  # a second run begins before the one that learns is on air
            await visitor.until(lambda: any(stats["enroll"] for stats in visitor.got.stats))
            await visitor.until(lambda: visitor.got.stats[-1]["enroll"] is None)
            assert bank_of(session).frozen
            runs = session._runs
            for changes in ({"engine": "passthrough"}, {"engine": "mouthbank"}):  # the first of which learns nothing
                count = runs._on_air
                await visitor.patch(**changes)
                await visitor.until(lambda count=count: runs._on_air > count and len(runs.newest_first) == 1)
                assert bank_of(session).frozen
                assert bank_of(session).neutral is not None

    asyncio.run(test())


def test_what_unpacks_to_too_much_is_no_bank() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out, out.open("neutral.npy", "w") as entry:
        for _ in range(101):
            entry.write(bytes(1_000_000))
    assert len(packed.getvalue()) < 1_000_000
    with pytest.raises(BundleError, match="too large"):
        banks.from_bytes(packed.getvalue(), "mouthbank")
