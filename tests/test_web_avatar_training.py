"""Avatars that visitors have trained: one at a time, in turn, with progress; cancelled, failed, deleted."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import kit_stand_in
import pytest
from films import numbered, steady, write_film
from test_web_avatars import send
from test_web_safety import ask
from web_peers import HEADERS, serving

from realtime_dub.errors import DependencyError
from realtime_dub.sources.avatars import is_avatar
from realtime_dub.trust import consent
from realtime_dub.web import limits
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio import avatar_progress
from realtime_dub.web.studio.avatar_training import WORK, Trainings
from realtime_dub.web.studio.avatars import Avatars
from realtime_dub.web.studio.own_avatars import Own, write
from realtime_dub.web.studio.uploads import Arrival, Uploads

KIT = (sys.executable, str(Path(kit_stand_in.__file__)))
SHORT = "the recording is short: a face is seen for 12 s; record 3 minutes and more"


@contextmanager
def training(folder: Path, most: int = 3, kit: tuple[str, ...] = KIT) -> Iterator[tuple[Avatars, Trainings]]:
    for name in ("own", "sent"):
        (folder / name).mkdir(exist_ok=True)
    uploads = Uploads(1_000_000, folder / "sent")
    avatars = Avatars(ServeConfig(), folder / "own", uploads)
    trainings = Trainings(avatars, uploads, most, kit)
    try:
        yield avatars, trainings
    finally:
        trainings.close()
        avatars.close()
        uploads.close()


def film(avatars: Avatars, trainings: Trainings, name: str, text: str = "good", **about: object) -> str:
    """One that has come and waits."""
    (avatars.folder / name).mkdir()
    (avatars.folder / name / "film.mp4").write_text(text)
    write(avatars.folder / name, Own(state="waiting", film="film.mp4", since_s=time.time(), **about))
    trainings._wake.set()
    return name


def until(so: Callable[[], bool], seconds: float = 80.0) -> None:
    end_s = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def state(avatars: Avatars, name: str) -> str:
    return avatars.own(name).state


@pytest.mark.computes
def test_how_far_a_training_is_stands_in_its_folder(tmp_path: Path) -> None:
    kit_stand_in.begin_training(tmp_path)
    found = avatar_progress.of_training(tmp_path)
    by_time = (600 + 900) / 3_000  # of 50 minutes, over two stretches; by steps it is less
    assert found.stage == "picture"
    assert found.share == pytest.approx(0.1 + 0.9 * by_time)
    assert found.left_s is not None
    assert 1_200 < found.left_s < 2_400
    preview = avatar_progress.newest_preview(tmp_path)
    assert preview is not None
    assert preview.name == "preview-007.png"
    (tmp_path / "picture/net.safetensors").touch()
    (tmp_path / "picture/picture").mkdir()
    (tmp_path / "runs/head/head/net.safetensors").unlink()
    assert avatar_progress.of_training(tmp_path).stage == "head"


@pytest.mark.computes
def test_before_anything_is_there_it_has_just_begun(tmp_path: Path) -> None:
    assert avatar_progress.of_training(tmp_path / "none") == avatar_progress.Progress("expression", 0.0, None)
    assert avatar_progress.of_preparation(tmp_path, 60).share == 0
    (tmp_path / "data/tracks").mkdir(parents=True)
    for name in ("take", "take.001"):
        (tmp_path / f"data/tracks/{name}.npz").touch()
    assert avatar_progress.of_preparation(tmp_path, 80) == avatar_progress.Progress("faces", 0.5)
    (tmp_path / "data/tracks.jsonl").write_text("{}\n{}\n")
    for kind, share in (("joints", 0.25), ("alpha", 0.5)):
        (tmp_path / "data" / kind).mkdir()
        (tmp_path / "data" / kind / "take.npz").touch()
        assert avatar_progress.of_preparation(tmp_path, 80) == avatar_progress.Progress("pictures", share)
    assert avatar_progress.findings(tmp_path) == ()


def test_from_a_film_to_an_avatar(tmp_path: Path) -> None:
    """What is wrong with the recording is told before anything is trained; at the end, the film is gone."""
    with training(tmp_path) as (avatars, trainings):
        name = film(avatars, trainings, "mine")
        until(lambda: state(avatars, name) == "checked")
        [told] = trainings.tell([name, "nobody"])
        assert [each["fault"] for each in told["findings"]] == [SHORT, ""]
        time.sleep(0.2)
        assert state(avatars, name) == "checked"  # nothing goes on by itself
        with pytest.raises(Refusal, match="There is no picture yet"):
            trainings.preview(name)
        assert trainings.agree(name)["state"] in ("waiting", "training")
        until(lambda: trainings.tell([name])[0].get("share", 0) > 0.5)
        [told] = trainings.tell([name])
        assert (told["state"], told["stage"], told["preview"]) == ("training", "picture", "preview-007")
        assert trainings.preview(name).is_file()
        with pytest.raises(Refusal, match="There is nothing to agree to"):
            trainings.agree(name)
        (avatars.folder / name / "go").touch()
        until(lambda: state(avatars, name) == "kept")
        assert is_avatar(str(avatars.find(name)))
        assert consent.read(*consent.of_folder(avatars.find(name)))[1] == "given"
        until(lambda: not (avatars.folder / name / WORK).exists())
        assert not (avatars.folder / name / "film.mp4").exists()


def test_one_at_a_time_and_who_cancels_lets_the_next_one_in(tmp_path: Path) -> None:
    with training(tmp_path) as (avatars, trainings):
        first = film(avatars, trainings, "first", agreed=True)
        until(lambda: (avatars.folder / first / WORK / "began").exists())
        second = film(avatars, trainings, "second", agreed=True)
        time.sleep(0.3)
        [told] = trainings.tell([second])
        assert (told["state"], told["ahead"], told["agreed"]) == ("waiting", 1, True)
        assert trainings._at_work is not None
        process = trainings._at_work[1]
        trainings.remove(first)
        assert process.poll() is not None
        until(lambda: (avatars.folder / second / WORK / "began").exists())
        assert [each.name for each in avatars.folder.iterdir()] == ["second"]
        with pytest.raises(Refusal, match="There is no avatar"):
            trainings.remove(first)


def test_a_server_that_is_started_again_goes_on(tmp_path: Path) -> None:
    with training(tmp_path) as (avatars, trainings):
        name = film(avatars, trainings, "mine", agreed=True)
        until(lambda: (avatars.folder / name / WORK / "began").exists())
    assert state(avatars, name) == "training"
    with training(tmp_path) as (avatars, trainings):
        until(lambda: (avatars.folder / name / WORK / "began").read_text() == "xx")  # where it was
        (avatars.folder / name / "go").touch()
        until(lambda: state(avatars, name) == "kept")


def test_what_cannot_be_made_says_why_and_leaves_nothing_of_the_film(tmp_path: Path) -> None:
    with training(tmp_path) as (avatars, trainings):
        name = film(avatars, trainings, "mine", "bad")
        until(lambda: state(avatars, name) == "failed")
        [told] = trainings.tell([name])
        assert told["why"] == "Cannot make an avatar of the film: no face was seen."
        assert str(tmp_path) not in str(told)
        assert sorted(each.name for each in (avatars.folder / name).iterdir()) == ["said.txt", "state.json"]
    with training(tmp_path, kit=(sys.executable, "-c", "import os; os.abort()")) as (avatars, trainings):
        other = film(avatars, trainings, "other")
        until(lambda: state(avatars, other) == "failed")
        assert "The training ended early" in trainings.tell([other])[0]["why"]


@pytest.mark.slow
@pytest.mark.long
def test_a_film_is_looked_at_and_put_in_line_and_there_is_an_end_of_room(tmp_path: Path) -> None:
    def data(seconds: int, **sound: int) -> bytes:
        path = write_film(tmp_path / "a.mp4", steady(25 * seconds, 25), numbered(160, 120), **sound)
        return path.read_bytes()

    with training(tmp_path, most=2) as (avatars, trainings):
        broken = {
            b"no film": "The file cannot be read",
            data(2, sound_ms=2_000): "The film has 2 s",
            data(6): "no voice",
        }
        for film_of_it, said in broken.items():
            with pytest.raises(Refusal, match=said):
                trainings.keep(arrive(trainings, "one", film_of_it))
        assert list(avatars.folder.iterdir()) == []
        told = trainings.keep(arrive(trainings, "one", data(6, sound_ms=6_000)))
        assert avatars.own(told["id"]).seconds == pytest.approx(6, abs=0.2)
        film(avatars, trainings, "another", visitor="one")
        with pytest.raises(Refusal, match="The server keeps no more avatars"):
            trainings.let_in("two")
        with pytest.raises(Refusal, match=r"Files of the kind .txt are not taken"):
            trainings._uploads.begin("a.txt", "two", None, "film")
    assert list((tmp_path / "sent").iterdir()) == []


def arrive(trainings: Trainings, visitor: str, data: bytes) -> Arrival:
    arrival = trainings.begin("a.mp4", visitor)
    arrival.path.write_bytes(data)
    return arrival


@pytest.mark.computes
def test_nobody_has_many_made_at_once(tmp_path: Path) -> None:
    with training(tmp_path, most=0) as (avatars, trainings):
        trainings.most = 9
        for name in ("first", "second"):
            film(avatars, trainings, name, visitor="one")
        with pytest.raises(Refusal, match="You have avatars that are being made"):
            trainings.let_in("one")
        trainings.let_in("two")


@pytest.mark.computes
def test_without_room_on_the_disk_nothing_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AVATAR_LEAST_ROOM", 1 << 62)
    with training(tmp_path) as (_, trainings), pytest.raises(Refusal, match="no room for the film"):
        trainings.let_in("one")


@pytest.mark.computes
def test_a_server_without_the_training_kit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime_dub.cli import machine

    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "torch" else os)
    with pytest.raises(DependencyError, match=r"--train-avatars needs torch; pip install 'realtime-dub\[train\]'"):
        machine.serve(train_avatars=1)


@pytest.mark.slow
def test_a_page_sends_a_film_and_asks_what_became_of_it() -> None:
    """The loop that people's media go over never waits for a disk."""

    async def test() -> None:
        async with serving(train_avatars=1) as (studio, http, url):
            status, told = await send(http, url, "avatars/films", b"no film", "me.mp4")
            assert (status, told["error"]["what"]) == (422, "The file cannot be read.")
            status, told = await send(http, url, "avatars/films", b"no film", "me.txt")
            assert status == 415
            await asyncio.to_thread(made, studio.avatars)
            status, told, _ = await ask(http, "GET", f"{url}/api/avatars?ids=mine,other")
            assert [(each["id"], each["state"]) for each in told["own"]] == [("mine", "failed")]
            status, told = await send(http, url, "avatars/films", b"no film", "me.mp4")
            assert status == 422  # one that failed takes nobody's place
            for name, code in (("other", 404), ("mine", 409)):
                asked = await ask(http, "POST", f"{url}/api/avatars/{name}/training", json={}, headers=HEADERS)
                assert asked[0] == code
            assert (await ask(http, "GET", f"{url}/api/avatars/mine/preview"))[0] == 404
            assert (await ask(http, "DELETE", f"{url}/api/avatars/mine", headers=HEADERS))[0] == 204
        async with serving() as (studio, http, url):
            assert (await send(http, url, "avatars/films", b"no film", "me.mp4"))[0] == 409

    def made(avatars: Avatars) -> None:
        (avatars.folder / "mine").mkdir()
        write(avatars.folder / "mine", Own(state="failed", film="film.mp4", since_s=time.time(), why="Too short."))

    asyncio.run(test())
