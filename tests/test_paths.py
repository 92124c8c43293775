"""No file of the user's is written over by a slip, and what cannot be written is found before the run."""

from __future__ import annotations

import errno
import os
import resource
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from films import numbered, steady, write_film
from patience import PATIENCE_S
from test_file_ends import largest_file

from realtime_dub import cli
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.paths import Use, WholeFile, reason, refuse_clashes

pytestmark = pytest.mark.computes

NO_UTF8 = b"\xff".decode("utf-8", "surrogateescape")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with inputs of all kinds, under several names each, to which nothing may happen."""
    monkeypatch.chdir(tmp_path)
    for name in ("film.mp4", "voice.mp4", "me.png", "me.bank", "key.pem", "sub/film.mp4", "bundle/spec.json"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"precious")
    Path("soft.mp4").symlink_to("film.mp4")
    Path("far.mp4").symlink_to(tmp_path / "soft.mp4")
    os.link("film.mp4", "hard.mp4")
    Path("new.mp4").symlink_to("unborn.mp4")
    Path("alias").symlink_to("sub")
    Path("x\nfilm.mp4").write_bytes(b"precious")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


LIVE = "--webcam film.mp4 --mic voice.mp4"
READ, TWICE = "cannot overwrite an input file", "cannot write two outputs to one file"
CLASHES = [
    (f"{LIVE} --to film.mp4", READ),
    (f"{LIVE} --to ./sub/../film.mp4", READ),
    (f"{LIVE} --to null --to voice.mp4", READ),
    (f"{LIVE} --to soft.mp4", READ),
    (f"{LIVE} --to far.mp4", READ),
    (f"{LIVE} --to hard.mp4", READ),
    ("--webcam soft.mp4 --mic video --to hard.mp4", READ),
    ("--webcam sub/film.mp4 --mic video --to alias/film.mp4", READ),
    ("--webcam me.png --mic voice.mp4 --to null --contact-sheet me.png", READ),
    (f"{LIVE} --to null --stats-json film.mp4", READ),
    (f"{LIVE} --to null --stats-json me.bank --identity me.bank", READ),
    (f"{LIVE} --to null --stats-json bundle/spec.json --bundle bundle", READ),
    (f"{LIVE} --to webrtc://localhost?tls-key=key.pem --stats-json key.pem", READ),
    (f"{LIVE} --to a.mp4 --to ./a.mp4", TWICE),
    (f"{LIVE} --to new.mp4 --to unborn.mp4", TWICE),
    (f"{LIVE} --to sub/a.mp4 --to alias/a.mp4", TWICE),
    (f"{LIVE} --to null --stats-json a.png --contact-sheet a.png", TWICE),
    (f"{LIVE} --to a.csv --stats-json a.csv", TWICE),
    ("file film.mp4 -o film.mp4", READ),
    ("file film.mp4 -o hard.mp4", READ),
    ("file film.mp4 --mic voice.mp4 -o voice.mp4", READ),
    ("file film.mp4 --mic script:key.pem -o a.mp4 --stats-json key.pem", READ),
    ("file film.mp4 --mic script:hpm:key.pem -o a.mp4 --stats-json key.pem", READ),
    ("file me.png --mic voice.mp4 -o a.mp4 --contact-sheet me.png", READ),
    ("file film.mp4 -o a.mp4 --stats-json film.mp4", READ),
    ("file film.mp4 -o a.mp4 --stats-json a.mp4", TWICE),
    ("file film.mp4 -o a.csv --identity me.bank --stats-json me.bank", READ),
    ("enroll film.mp4 -o film.mp4", READ),
    ("enroll soft.mp4 -o hard.mp4", READ),
]


@pytest.mark.parametrize(("command", "says"), CLASHES, ids=[command for command, _ in CLASHES])
def test_no_file_is_written_over(command: str, says: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(here)
    assert cli.run(command.split()) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert contents(here) == before


def test_raw_sound_from_a_file_is_not_written_over(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with redirected(0, "voice.mp4"):
        assert cli.run(["--webcam", "film.mp4", "--mic", "-", "--to", "voice.mp4"]) == 2
    assert f"{READ}: - (--mic)" in capfd.readouterr().err
    assert Path("voice.mp4").read_bytes() == b"precious"


@contextmanager
def redirected(descriptor: int, path: str) -> Iterator[None]:
    saved, other = os.dup(descriptor), os.open(path, os.O_RDWR)
    os.dup2(other, descriptor)
    try:
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)
        os.close(other)


@pytest.mark.parametrize("scheme", ["file", "FILE", "cache", "async"])
def test_an_address_that_is_a_file_of_this_machine_is_no_address(
    scheme: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    film = here / "film.mp4"
    assert cli.run(["--webcam", f"{scheme}://{film}", "--mic", "demo", "--to", str(film)]) == 2
    assert "by its path" in capfd.readouterr().err
    assert film.read_bytes() == b"precious"


def test_devices_and_missing_folders_clash_with_nothing(here: Path) -> None:
    refuse_clashes([Use("/dev/null", "-o"), Use("/dev/null", "--stats-json")], [Use("/dev/null", "--mic")])
    refuse_clashes([Use("none/a", "-o"), Use("none/a", "--stats-json")], [])
    refuse_clashes([Use("a", "-o"), Use("sub/a", "--stats-json")], [Use("sub", "--bundle"), Use("no\0", "--mic")])
    with pytest.raises(ConfigError, match=READ):
        refuse_clashes([Use("sub/film.mp4", "-o")], [Use("alias", "--bundle")])


@pytest.fixture
def film(here: Path) -> Path:
    return write_film(Path("real.mp4"), steady(5), numbered(64, 64), sound_ms=200)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("none/s{}", "there is no folder"),
        ("folder{}", "it is a folder"),
        ("/proc/s{}", "cannot write /proc/s"),
        ("full{}", "no space left on device"),
        ("pipe{}", "nobody reads from it"),
        ("film.mp4/s{}", "there is no folder"),
        ("x" * 300 + "{}", "file name too long"),
    ],
)
@pytest.mark.parametrize(("option", "suffix"), [("--stats-json", ".json"), ("--contact-sheet", ".png")])
def test_a_report_that_cannot_be_written_is_found_before_the_run(
    option: str, suffix: str, path: str, why: str, film: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(f"pipe{suffix}")
    Path(f"folder{suffix}").mkdir()
    Path(f"full{suffix}").symlink_to("/dev/full")
    for command in ("file real.mp4 -o out.mp4", "--webcam real.mp4 --mic video --to out.mp4"):
        assert cli.run([*command.split(), "--engine", "passthrough", option, path.format(suffix)]) == 2
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert why in err
        assert ("make room" in err) == ("space" in why)
        assert not Path("out.mp4").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_found_before_the_run(
    film: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.chmod("sub", stat.S_IRUSR | stat.S_IXUSR)
    assert cli.run(["file", "real.mp4", "-o", "out.mp4", "--stats-json", "sub/s.json"]) == 2
    assert "permission denied" in capfd.readouterr().err


@pytest.mark.parametrize("stem", ["12:30", "file:x", "a%d b?", "-x", NO_UTF8, "a\nb", "x" * 250], ids=ascii)
def test_files_are_written_under_any_name(stem: str, film: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = [f"{stem}{suffix}" for suffix in (".mp4", ".json", ".png")]
    options = ["--stats-json", names[1], "--contact-sheet", names[2], "--engine", "passthrough", "-q"]
    assert cli.run(["file", "real.mp4", "-o", names[0], *options]) == 0
    assert capfd.readouterr() == ("", "")
    assert set(names) <= set(here_files())


def test_what_stood_in_a_report_stays_until_there_is_a_new_one(film: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("s.json").write_text("old")
    Path("s.png").write_text("old")
    reports = ["--stats-json", "s.json", "--contact-sheet", "s.png", "--engine", "passthrough"]
    assert cli.run(["file", "film.mp4", "-o", "out.mp4", *reports]) == 2
    assert (Path("s.json").read_text(), Path("s.png").read_text()) == ("old", "old")
    assert cli.run(["file", "real.mp4", "-o", "out.mp4", *reports]) == 0
    assert Path("s.json").read_text().startswith('{"budget_ms"')
    assert Path("s.png").read_bytes()[1:4] == b"PNG"
    assert not [path for path in here_files() if path.startswith(".")]


def here_files() -> list[str]:
    return sorted(os.listdir())


def test_a_file_is_replaced_whole_or_not_at_all(here: Path) -> None:
    Path("s.json").write_bytes(b"old")
    os.chmod("s.json", 0o640)
    Path("link.json").symlink_to("s.json")
    before = here_files()
    file = WholeFile("link.json")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(MediaError, match=r"cannot write link\.json: file too large"):
            file.write(bytes(5_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (Path("s.json").read_bytes(), here_files()) == (b"old", before)
    file.write(b"new")
    assert (Path("s.json").read_bytes(), Path("link.json").is_symlink()) == (b"new", True)
    assert stat.S_IMODE(os.stat("s.json").st_mode) == 0o640
    assert here_files() == before


@pytest.mark.parametrize(("lost", "kept"), [("--stats-json", "--contact-sheet"), ("--contact-sheet", "--stats-json")])
def test_a_report_that_does_not_fit_at_the_end_takes_no_other_with_it(
    lost: str, kept: str, film: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = WholeFile.write

    def fails(file: WholeFile, data: bytes) -> None:
        if file.path.stem == "lost":
            with largest_file(10):
                write(file, data)
        write(file, data)

    monkeypatch.setattr(WholeFile, "write", fails)
    names = {"--stats-json": ".json", "--contact-sheet": ".png"}
    arguments = [lost, f"lost{names[lost]}", kept, f"kept{names[kept]}"]
    assert cli.run(["file", "real.mp4", "-o", "out.mp4", "--engine", "passthrough", *arguments]) == 1
    out, err = capfd.readouterr()
    assert "frames: 5 total" in out
    assert f"error: cannot write lost{names[lost]}: file too large; choose" in err
    assert err.count("\n") == 1
    assert Path(f"kept{names[kept]}").stat().st_size > 100
    assert Path("out.mp4").exists()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, None), "no space left on device"),
        (OSError("12 requested and 0 written\nsomewhere"), "12 requested and 0 written somewhere"),
        (OSError(), "OSError"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "whoever read it has left"),
    ],
)
def test_every_error_has_a_reason(error: OSError, says: str) -> None:
    assert reason(error) == says


def test_a_pipe_is_written_to_and_stays_one(here: Path) -> None:
    os.mkfifo("pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()), name="reader")
    reader.start()
    while True:  # until the reader is there
        try:
            file = WholeFile("pipe")
            break
        except MediaError:
            continue
    data = bytes(range(256)) * 1_000
    file.write(data)
    reader.join(PATIENCE_S)
    assert got == [data]
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


def test_a_device_stays_a_device(here: Path) -> None:
    Path("null.bank").symlink_to("/dev/null")
    WholeFile("null.bank").write(b"a bank")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert Path("null.bank").is_symlink()
