"""What runs do with credentials: intervals against the pixels, what cannot be signed, what is not to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_files import video_images
from signed import SHA, by_c2pa, changed, png, write_dub

from realtime_dub import cli
from realtime_dub.errors import ConfigError
from realtime_dub.pipeline.credentials import Credentials, MadeBy
from realtime_dub.publishers.muxer import MuxPublisher
from realtime_dub.publishers.null import NullPublisher
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.intervals import GAP_NS
from realtime_dub.trust.kinds import sidecar_of
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.tag import read_tag

pytestmark = pytest.mark.computes

FPS = 25


class Generator:
    """As much of one as is asked for its name."""

    name, bundle, bundle_sha256, backend = "avatar", "a net 1.0 of mother.mp4", SHA, "cpu"


def test_no_recordings_name_is_told() -> None:
    assert MadeBy.of(Generator()) == MadeBy("avatar", "a net 1.0", SHA)  # type: ignore[arg-type]


def test_credentials_that_are_off_leave_no_word(tmp_path: Path) -> None:
    credentials, publisher = Credentials(None), MuxPublisher(tmp_path / "a.mkv")
    credentials.begin(Generator(), [publisher, NullPublisher()])  # type: ignore[arg-type]
    film = write_dub(tmp_path / "a.mkv")
    sidecar_of(film.path).write_bytes(b"of a film that was here before")
    failed: list[str] = []
    credentials.sign_film(film, failed.append)
    assert credentials.sealed(png(), failed.append) == png()
    assert (failed, sidecar_of(film.path).exists(), publisher._tag) == ([], False, None)


def test_a_film_that_cannot_be_signed_is_kept_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    film, failed = write_dub(tmp_path / "a.mp4"), []
    before = film.path.read_bytes()
    credentials = Credentials(SigningOptions())
    credentials.sign_film(film, failed.append)
    assert credentials.sealed(png(), failed.append) == png()
    assert film.path.read_bytes() == before
    assert [each.partition(": ")[0] for each in failed] == [
        f"{film.path} has no content credentials",
        "a picture has no content credentials",
    ]
    assert "realtime-dub sign adds them" in failed[0]


def test_a_signer_that_was_asked_for_is_tried_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot use --sign-cert"):
        Credentials(SigningOptions(tmp_path / "a.pem", tmp_path / "a.key"))


@pytest.mark.parametrize("off", [False, True])
def test_a_command_that_is_told_to_says_nothing(tmp_path: Path, off: bool) -> None:
    target, sheet = tmp_path / "a.mp4", tmp_path / "a.png"
    how = ["--engine", "passthrough", "--seconds", "0.4", "--contact-sheet", str(sheet), "-q"]
    how += ["--credentials", "off"] if off else []
    assert cli.run(["file", "demo", "--mic", "demo", "-o", str(target), *how]) == 0
    states = [inspect(path).state for path in (target, sheet)]
    assert states == (["missing"] * 2 if off else ["untrusted"] * 2)
    assert (read_tag(target) is None) == off


@pytest.mark.slow
def test_the_intervals_are_those_in_which_pixels_differ(tmp_path: Path) -> None:
    """The same film without a loss, dubbed and not: the pictures that differ are the ones that are told."""
    plain, dubbed, sheet = tmp_path / "plain.mp4", tmp_path / "dubbed.mp4", tmp_path / "sheet.png"
    common = ["file", "demo", "--mic", "demo", "--seconds", "3", "--crf", "0", "--badge", "off", "-q", "-o"]
    assert cli.run([*common, str(plain), "--engine", "passthrough"]) == 0
    assert cli.run([*common, str(dubbed), "--contact-sheet", str(sheet)]) == 0
    pairs = zip(video_images(plain), video_images(dubbed), strict=True)
    differs = np.array([bool((one != other).any()) for one, other in pairs])
    told = np.zeros(len(differs), bool)
    for start, end in changed(by_c2pa(dubbed)):
        told[round(start * FPS) : round(end * FPS)] = True
    assert differs.any()
    assert not differs.all()
    assert not (differs & ~told).any()
    # What is told beyond them lies in holes that are too short to be told apart.
    holes = np.flatnonzero(told & ~differs)
    assert all(differs[max(0, k - int(GAP_NS * FPS // 10**9) - 1) : k + 13].any() for k in holes)
    assert changed(by_c2pa(plain)) == []
    told_of = inspect(dubbed).says
    assert told_of is not None
    assert told_of.told["notice.badge"] == "off"
    assert by_c2pa(sheet)["validation_state"] == "Valid"
