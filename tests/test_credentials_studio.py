"""The studio's recordings say what they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from signed import SHA, by_c2pa, changed

from realtime_dub.clock import MonotonicClock
from realtime_dub.config import Signing
from realtime_dub.errors import ConfigError
from realtime_dub.media import MS, Tick
from realtime_dub.pipeline.credentials import MadeBy
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.tag import read_tag
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio.recording_signer import RecordingSigner
from realtime_dub.web.studio.recordings import Recordings
from realtime_dub.web.studio.session_recorder import SessionRecorder
from realtime_dub.web.workers.serving import serve

pytestmark = pytest.mark.computes

PERIOD_NS = 40 * MS
PICTURE = np.full((48, 64, 3), 90, np.uint8)


def recorded(folder: Path, signing: RecordingSigner | None) -> tuple[Path, str | None]:
    """A recording of 50 frames, the second half dubbed; where it is, and its note."""

    async def record() -> tuple[Path, str | None]:
        shelf = await asyncio.to_thread(Recordings, folder)
        timeline = OutputTimeline(MonotonicClock(), asyncio.get_running_loop())
        recorder = SessionRecorder(shelf, MonotonicClock(), print, lambda work, _: None, signing)
        begun = await recorder.start(timeline, "me")
        for k in range(50):
            assert timeline.recorder is not None
            timeline.recorder(Tick(PICTURE, 0, PERIOD_NS, k, None, dubbed=k >= 25), k * PERIOD_NS)
            await asyncio.sleep(0.002)
        kept = await recorder.stop()
        assert kept is not None
        return begun.path, kept.note

    return asyncio.run(record())


def test_a_recording_says_when_it_was_dubbed_and_by_what(tmp_path: Path) -> None:
    at_work = [MadeBy("mouthbank", "a net 1.0", SHA)]
    path, note = recorded(tmp_path, RecordingSigner(SigningOptions(), lambda: (at_work[-1], "another's")))
    assert note is None
    assert by_c2pa(path)["validation_state"] == "Valid"
    assert changed(by_c2pa(path)) == [(1.0, 2.0)]
    told = inspect(path).says
    assert told is not None
    names = ("engine", "bundle", "bundle.sha256", "voice")
    assert [told.told[name] for name in names] == ["mouthbank", "a net 1.0", SHA, "another's"]


def test_two_engines_are_both_told(tmp_path: Path) -> None:
    asked = iter([(MadeBy("mouthbank", "a net 1.0", SHA), "own"), (MadeBy("lipgan", "another 2.0", SHA), "own")])
    path, _ = recorded(tmp_path, RecordingSigner(SigningOptions(), lambda: next(asked)))
    told = inspect(path).says
    assert told is not None
    assert told.told["engine"] == "mouthbank, lipgan"
    assert "bundle.sha256" not in told.told


def test_a_recording_that_cannot_be_signed_is_kept_and_says_so(tmp_path: Path) -> None:
    options = SigningOptions(tmp_path / "none.pem", tmp_path / "none.key")
    path, note = recorded(tmp_path / "kept", RecordingSigner(options, lambda: (MadeBy("e", "b", SHA), "own")))
    assert note == "it has no content credentials"
    assert inspect(path).state == "interrupted"
    assert str(tmp_path) not in note


def test_without_credentials_nothing_is_said(tmp_path: Path) -> None:
    assert RecordingSigner.of(ServeConfig(credentials="off"), lambda: (MadeBy(), "own")) is None
    path, note = recorded(tmp_path, None)
    assert (note, inspect(path).state, read_tag(path)) == (None, "missing", None)


def test_a_server_that_cannot_sign_as_asked_for_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot use --sign-cert"):
        serve(ServeConfig(sign_cert=tmp_path / "none.pem", sign_key=tmp_path / "none.key"))
    assert Signing().signing == SigningOptions()
