"""Films by README.md's own commands are told: by c2pa's reader, by `inspect`, and by their marks alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
import test_readme_recipes as recipes
from signed import by_c2pa, changed

from realtime_dub import cli
from realtime_dub.pipeline.marking import payload_of_today
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.marks.found import found

SECONDS = 6.0  # a window of marks is five
FILMS = {
    "realtime-dub file talk.mp4 --mic voice.wav -o dubbed.mp4": "dubbed.mp4",
    "realtime-dub file me.jpg --mic voice.wav -o talking.mp4": "talking.mp4",
    "realtime-dub --webcam 0 --mic interpreter.wav --to vcam --speaker dub": "result.mkv",
    "--to out.mp4": "out.mp4",
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the commands read, long enough for marks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "FILE_S", SECONDS)
        patch.setattr(recipes, "LIVE_S", SECONDS)
        made = tmp_path_factory.mktemp("told")
        for name in ("interpreter.wav", "voice.wav"):
            recipes.write_wav(made / name)
        recipes.cv2.imwrite(str(made / "me.jpg"), recipes.portrait())
        film = made / "talk.mp4"
        asked = f"file demo --mic demo -o '{film}' --engine passthrough --seconds {SECONDS} --credentials off -q"
        assert cli.run(shlex.split(asked)) == 0
        yield made


def test_these_are_commands_of_the_readme() -> None:
    assert set(FILMS) <= recipes.commands()


@pytest.mark.parametrize("command", FILMS)
def test_a_film_by_a_recipe_is_told(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    live = command in recipes.LIVE or command.startswith("--")
    assert cli.run(shlex.split(recipes.live(command) if live else command)[1:]) == 0
    film = Path(FILMS[command])
    assert by_c2pa(film)["validation_state"] == "Valid"
    seen, marks = inspect(film), found(film)
    assert seen.state == "untrusted"
    assert seen.says is not None
    assert seen.says.told["exact"] == "yes"
    assert sum(end - start for start, end in changed(by_c2pa(film))) > SECONDS / 2
    for track in (marks.picture, marks.sound):
        assert track is not None
        assert [window.marked for window in track.windows] == [True] * len(track.windows)
        assert track.payload == payload_of_today()
    check_copy(film)


def check_copy(film: Path) -> None:
    """Coded anew, without sound, without what its header says and without credentials."""
    copy = film.with_name("copy.mp4")
    with av.open(str(film)) as source, av.open(str(copy), "w") as out:
        shown = source.streams.video[0]
        coded = out.add_stream("libx264", shown.average_rate, {"crf": "28", "preset": "veryfast"})
        coded.width, coded.height, coded.pix_fmt = shown.width, shown.height, "yuv420p"
        for n, frame in enumerate(source.decode(shown)):
            frame.pts, frame.time_base = n, 1 / shown.average_rate
            out.mux(coded.encode(frame))
        out.mux(coded.encode(None))
    told = inspect(copy)
    assert (told.state, told.exit_code) == ("marked", 14)
    assert {each.where for each in told.marks} == {"picture"}


def test_the_source_is_not(folder: Path) -> None:
    marks = found(folder / "talk.mp4")
    assert not marks.marked
    assert inspect(folder / "talk.mp4").state == "missing"
    assert not found(folder / "voice.wav").marked
