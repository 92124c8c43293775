"""Avatars in the studio: chosen, sent, shown, refused, kept and removed."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import struct
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, FormData
from test_web_safety import ask
from test_web_sessions import visiting
from toy_avatars import drawing_net, toy_avatar
from web_peers import FPS, HEADERS, ROOMY_MS, Visitor, serving

from realtime_dub.blend.patch import WholeFrame
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import BundleError
from realtime_dub.inference import bundle
from realtime_dub.mouth.avatar.packed import REST, pack, unpack, write_anew
from realtime_dub.pipeline.schedule import Fallback
from realtime_dub.trust import consent
from realtime_dub.web import limits
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.http.invited import ALLOWED
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.avatar_video import AvatarChoice, AvatarVideo, sized
from realtime_dub.web.studio.avatars import Avatars, FoundAvatars
from realtime_dub.web.studio.folder import ServerFolder
from realtime_dub.web.studio.own_avatars import Own, write
from realtime_dub.web.studio.uploads import Uploads

SIDE = 64


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_avatar(tmp_path_factory.mktemp("offered") / "Jane Doe.avatar")


@pytest.fixture(scope="module")
def packed(avatar: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("packed") / "jane.zip"
    pack(avatar, path)
    return path.read_bytes()


@contextmanager
def store(folder: Path, offered: Path | None = None) -> Iterator[Avatars]:
    for name in ("own", "sent"):
        (folder / name).mkdir()
    uploads = Uploads(1_000_000, folder / "sent")
    avatars = Avatars(ServeConfig(avatars=offered), folder / "own", uploads)
    try:
        yield avatars
    finally:
        avatars.close()
        uploads.close()


def put(avatars: Avatars, source: Path, name: str = "mine", **about: Any) -> str:
    (avatars.folder / name).mkdir()
    write_anew(source, avatars.folder / name / "avatar")
    write(avatars.folder / name, Own(since_s=time.time(), **about))
    return name


def changed(data: bytes, **files: bytes | None) -> bytes:
    """The same zip with other files in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as before:
        all_of_it: dict[str, bytes | None] = {name: before.read(name) for name in before.namelist()}
    all_of_it |= {name.replace("__", "/").replace("_", "."): value for name, value in files.items()}
    after = io.BytesIO()
    with zipfile.ZipFile(after, "w", zipfile.ZIP_DEFLATED) as out:
        for name, value in all_of_it.items():
            if value is not None:
                out.writestr(name, value)
    return after.getvalue()


def png(width: int, height: int) -> bytes:
    """The head of one, which promises so much."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(20)


def pickled() -> bytes:
    stored = io.BytesIO()
    np.savez(stored, **{"neutral": np.array([print], object)})
    return stored.getvalue()


@pytest.mark.computes
def test_an_avatar_in_one_file_is_the_same_again(avatar: Path, packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(changed(packed, consent_json=b'{"who": "me"}'))
    folder = unpack(tmp_path / "a.zip", tmp_path / "again")
    assert (folder / "consent.json").read_bytes() == b'{"who": "me"}'
    (folder / "consent.json").unlink()
    names = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    assert names == {"avatar.json", "person.npz", "plate.png", REST, "picture/spec.json", "picture/picture.onnx"}
    assert (folder / "picture/picture.onnx").read_bytes() == drawing_net()
    with np.load(folder / "person.npz") as again, np.load(avatar / "person.npz") as before:
        assert all(np.array_equal(again[name], before[name]) for name in before.files)


BROKEN = {
    "no zip": (lambda data: b"no zip at all", "is no avatar"),
    "cut short": (lambda data: data[: len(data) // 2], "is no avatar"),
    "places before its beginning": (lambda data: data[:-6] + b"\xff\xff\x0f\0" + data[-2:], "is no avatar"),
    "a stranger": (lambda data: changed(data, evil_py=b"print()"), "there is 'evil.py' in it"),
    "a way out": (lambda data: changed(data, **{"____up_txt": b"x"}), "there is '//up.txt' in it"),
    "nothing of the person": (lambda data: changed(data, person_npz=None), "person.npz is missing"),
    "a part of a motion": (lambda data: changed(data, head__spec_json=b"{}"), "is not whole"),
    "no numbers": (lambda data: changed(data, person_npz=b"PK"), "damaged avatar"),
    "a pickle": (lambda data: changed(data, person_npz=pickled()), "damaged avatar"),
    "another network": (lambda data: changed(data, picture__picture_onnx=b"other"), "damaged bundle"),
    "a picture of gigabytes": (
        lambda data: changed(data, rest_png=png(60_000, 60_000)),
        "has no picture of 16 to 2048",
    ),
    "no picture": (lambda data: changed(data, plate_png=b"GIF89a"), "has no picture of 16 to 2048"),
    "too large": (lambda data: changed(data, avatar_json=b" " * 200_000), "avatar.json is too large"),
}


@pytest.mark.computes
@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_none_is_refused_and_leaves_nothing(kind: str, packed: bytes, tmp_path: Path) -> None:
    make, said = BROKEN[kind]
    (tmp_path / "a.zip").write_bytes(make(packed))
    with pytest.raises(BundleError, match=said):
        unpack(tmp_path / "a.zip", tmp_path / "again")
    assert [each.name for each in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.computes
def test_twice_the_same_name_and_a_bomb_are_refused(packed: bytes, tmp_path: Path) -> None:
    twice = io.BytesIO(packed)
    with zipfile.ZipFile(twice, "a") as out, pytest.warns(UserWarning, match="Duplicate name"):
        out.writestr("avatar.json", "{}")
    (tmp_path / "a.zip").write_bytes(twice.getvalue())
    with pytest.raises(BundleError, match="a name is in it twice"):
        unpack(tmp_path / "a.zip", tmp_path / "again")
    bomb = changed(packed, plate_png=bytes(20_000_000))
    assert len(bomb) < 100_000
    (tmp_path / "a.zip").write_bytes(bomb)
    with pytest.raises(BundleError, match=r"plate.png is too large"):
        unpack(tmp_path / "a.zip", tmp_path / "again")


@pytest.mark.computes
def test_the_operators_are_offered_and_a_visitors_own_is_found_by_its_name(avatar: Path, tmp_path: Path) -> None:
    (avatar.parent / "no avatar").mkdir(exist_ok=True)
    with store(tmp_path, avatar.parent) as avatars:
        assert avatars.offered() == [{"name": "Jane-Doe", "label": "Jane Doe"}]
        assert avatars.find("Jane-Doe") == avatar
        name = put(avatars, avatar, label="me.mp4")
        assert avatars.find(name) == avatars.folder / name / "avatar"
        assert avatars.tell(name)["state"] == "kept"
        for wrong in ("nobody", "../own", ".", "", "x" * 200, "Jane Doe"):
            with pytest.raises(Refusal, match="There is no avatar"):
                avatars.find(wrong)
        with pytest.raises(Refusal):
            avatars.find_own("Jane-Doe")  # shown, but not given away
        avatars.remove(name)
        assert list(avatars.folder.iterdir()) == []


@pytest.mark.computes
def test_what_nobody_uses_is_removed(avatar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AVATARS_SENT_IN_ALL", 2)
    with store(tmp_path) as avatars:
        for age_s, name, film in ((10, "young", ""), (100_000, "old", ""), (100_000, "made", "film.mp4")):
            put(avatars, avatar, name, film=film)
            at = time.time() - age_s
            os.utime(avatars.folder / name, (at, at))
        put(avatars, avatar, "asked", film="film.mp4", state="checked")
        at = time.time() - 8 * 86_400
        os.utime(avatars.folder / "asked", (at, at))
        avatars.sweep()
        assert set(avatars.all()) == {"young", "made"}  # what was trained here is kept for a month
        put(avatars, avatar, "younger")
        avatars._make_room()
        assert set(avatars.all()) == {"younger", "made"}


@pytest.mark.computes
def test_the_next_server_on_the_port_has_them(avatar: Path, tmp_path: Path) -> None:
    first = ServerFolder(8080, tmp_path)
    (first.avatars / "mine").mkdir()
    first.close()
    other = ServerFolder(8081, tmp_path)
    assert list(other.avatars.iterdir()) == []
    second = ServerFolder(8080, tmp_path)
    assert [each.name for each in second.avatars.iterdir()] == ["mine"]
    for folder in (other, second):
        folder.close()


@pytest.mark.computes
def test_it_is_shown_before_what_was_asked_for_at_the_size_that_was_asked_for(
    avatar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first picture on: the recorded background is nowhere to be seen."""
    monkeypatch.setattr(bundle, "was_made_here", lambda network: True)  # it need not run apart
    avatars = FoundAvatars(avatar.parent, avatar.parent)
    for behind, level in ((None, 90), ("#ff0000", 0), ("black", 0)):
        avatar_choice = AvatarChoice(avatars, "Jane-Doe", behind, "auto", 96)
        generator = avatar_choice.generator(1.0)
        video = AvatarVideo(avatar_choice, 25, VirtualClock())
        video.show(generator)
        info = video.open()
        corner = video.read().image[-8:, :8]
        video.close()
        generator.close()
        assert (info.width, info.height, info.live) == (96, 96, True)
        assert abs(float(corner[..., 0].mean()) - level) < 3
        if behind == "#ff0000":
            assert corner[..., 2].mean() > 250
    assert sized(np.zeros((64, 64, 3), np.uint8), 97).shape == (96, 96, 3)


@pytest.mark.computes
def test_what_a_page_may_choose() -> None:
    options = SessionOptions(picture="avatar:Jane-Doe", background="#00ff00", side=256, head="recorded")
    assert (options.avatar, options.shown_by, options.speaks_for_another) == ("Jane-Doe", "avatar", True)
    assert SessionOptions().shown_by == SessionOptions().engine
    for wrong in ({"picture": "avatar:"}, {"background": "red"}, {"side": 33}, {"side": 5_000}, {"head": "none"}):
        with pytest.raises(ValueError, match="1 validation error"):
            SessionOptions(**wrong)


@pytest.mark.computes
def test_a_link_for_a_speaker_alone_leads_to_avatars() -> None:
    for asked in ("POST /api/avatars", "POST /api/avatars/films", "GET /api/avatars/x/file", "DELETE /api/avatars/x"):
        assert [roles for pattern, roles in ALLOWED if re.fullmatch(pattern, asked)] == [{"studio"}]


async def send(http: ClientSession, url: str, path: str, data: bytes, name: str) -> tuple[int, Any]:
    form = FormData()
    form.add_field("file", data, filename=name)
    return (await ask(http, "POST", f"{url}/api/{path}", data=form, headers=HEADERS))[:2]


@pytest.mark.slow
def test_a_visitor_sends_an_avatar_and_speaks_by_it(packed: bytes) -> None:
    """Without a camera; the background changes while it speaks, and it is removed at the end."""

    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            status, told = await send(http, url, "uploads?use=avatar", packed, "me.zip")
            assert status == 415  # nowhere else than where avatars go
            status, told = await send(http, url, "avatars", b"PK no avatar", "me.zip")
            assert (status, told["error"]["what"][:24]) == (422, "The file is no avatar: F")
            status, mine = await send(http, url, "avatars", packed, "me.zip")
            assert (status, mine["state"], mine["label"]) == (201, "kept", "me.mp4"), mine
            status, told = await visitor.offer("/api/sessions", {"options": {"picture": "avatar:nobody"}})
            assert status == 404
            visitor.pc.getSenders()[0].replaceTrack(None)  # no camera
            await visitor.connect(picture=f"avatar:{mine['id']}", budget_ms=ROOMY_MS, side=128, room="talk")
            await visitor.until(lambda: len(visitor.got.pictures) > 2 * FPS)
            await visitor.until(lambda: visitor.got.stats[-1]["frames"].get("fresh", 0) > 2 * FPS)
            image = visitor.got.pictures[-1][2]
            assert image.shape == (128, 128, 3)
            assert abs(float(image[-8:, :8].mean()) - 90) < 12  # as recorded
            assert (await visitor.patch(background="#ffffff"))[0] == 200
            await visitor.until(lambda: float(visitor.got.pictures[-1][2][-8:, :8].mean()) > 240)
            head = [float(each[2][:60, 30:98].std()) for each in visitor.got.pictures[-20:]]
            assert max(head) > 5
            assert (await visitor.patch(background="upload:none"))[0] == 404
            async with visiting(Visitor(http, url, sends=False)) as viewer:
                await viewer.connect(role="viewer", room="talk")
                await viewer.until(lambda: len(viewer.got.pictures) > 10)
                assert viewer.got.pictures[-1][2].shape == (128, 128, 3)
            at = f"{url}/api/avatars/{mine['id']}"
            assert (await ask(http, "POST", f"{at}/consent", json={}, headers=HEADERS))[1]["consent"] == "given"
            assert (await ask(http, "DELETE", at, headers=HEADERS))[0] == 204
            pictures = {each.options.picture for each in studio.sessions.values()}
            assert f"avatar:{mine['id']}" not in pictures  # none shows it any longer
            status, told, _ = await ask(http, "GET", f"{url}/api/avatars?ids={mine['id']}")
            assert (status, told) == (200, {"offered": [], "own": []})
            assert list(studio.avatars.folder.iterdir()) == []

    asyncio.run(test())


@pytest.mark.computes
def test_an_avatar_whose_next_picture_is_late_stands_still() -> None:
    """It neither fades into the picture behind it nor jumps there."""
    fallback = Fallback()
    whole = WholeFrame(np.zeros((8, 8, 3), np.uint8), 0)
    assert fallback.step("missed").kind == "passthrough"  # before the first one
    assert fallback.step("result", whole).weight == 1
    late = [fallback.step("missed") for _ in range(50)]
    assert {(each.patch, each.weight, each.kind) for each in late} == {(whole, 1.0, "reused")}
    assert fallback.step("missed", shot=1).kind == "passthrough"
    assert fallback.step("lost").kind == "passthrough"


@pytest.mark.computes
def test_whether_the_person_agreed_is_told_recorded_and_proved(
    avatar: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with store(tmp_path) as avatars, caplog.at_level(logging.INFO, "realtime_dub.web"):
        name = put(avatars, avatar)
        assert avatars.tell(name)["consent"] == "missing"
        assert avatars.agree(name)["consent"] == "given"
        record = (avatars.folder / name / "avatar/consent.json").read_bytes()
        assert avatars.agree(name)["consent"] == "given"
        assert (avatars.folder / name / "avatar/consent.json").read_bytes() == record  # when it was first said
        (avatars.folder / name / "film.mp4").write_bytes(b"what it was trained of")
        (avatars.folder / name / "work.avatar").mkdir()
        line = avatars.remove(name)
        assert list(avatars.folder.iterdir()) == []
        assert "deleted (agreed to at 2" in line
        assert [each.what for each in caplog.records if hasattr(each, "what")] == [line]
        with pytest.raises(Refusal, match="There is no avatar"):
            avatars.agree(name)


@pytest.mark.computes
def test_a_record_of_another_recording_does_not_hold(avatar: Path, tmp_path: Path) -> None:
    with store(tmp_path) as avatars:
        name = put(avatars, avatar)
        other = consent.give("Ada", "avatar", b"another recording")
        consent.write_beside(avatars.folder / name / "avatar", other)
        assert avatars.tell(name)["consent"] == "broken"
        assert avatars.agree(name)["consent"] == "given"


@pytest.mark.computes
def test_the_proof_of_one_without_a_record_says_so(avatar: Path, tmp_path: Path) -> None:
    with store(tmp_path) as avatars:
        assert "deleted (nobody's consent was recorded)" in avatars.remove(put(avatars, avatar))
