"""The captions of a recording: beside the film, with its times, found again and removed with it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, NS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.caption_track import CaptionTrack, beside
from realtime_dub.web.studio.recordings import Recordings
from realtime_dub.web.studio.webvtt import Cue, VttReader

pytestmark = pytest.mark.computes


def test_captions_have_the_times_of_the_film_and_lie_beside_it(tmp_path: Path) -> None:
    recordings, clock = Recordings(tmp_path), VirtualClock(50 * NS)
    kept = recordings.begin()
    recording = SimpleNamespace(path=kept.path, start_ns=None)
    track = CaptionTrack(recording, SimpleNamespace(origin_ns=10 * NS, lag_ns=5 * MS), clock)
    track.add("before it begins", 1_000)
    recording.start_ns = 39 * NS  # of the output: 49.005 s of the clock
    track.add("Hola", 3_000)
    clock.advance_to(52 * NS)
    track.add("¿Qué <tal>?", 2_000)
    track.save()
    kept.path.write_bytes(b"a film")
    assert recordings.end(kept.id, 5, None).to_dict()["captions"] == f"/api/recordings/{kept.id}/captions"
    reader = VttReader()
    cues = reader.feed(recordings.find_captions(kept.id).read_bytes()) + reader.end()
    assert cues == [Cue(995 * MS, 2_995 * MS, "Hola"), Cue(2_995 * MS, 4_995 * MS, "¿Qué <tal>?")]
    again = Recordings(tmp_path)
    assert [each.captioned for each in again._kept.values()] == [True]
    again.remove(kept.id)
    assert list(tmp_path.iterdir()) == []


def test_a_film_without_captions_has_none(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    kept = recordings.begin()
    CaptionTrack(
        SimpleNamespace(path=kept.path, start_ns=0), SimpleNamespace(origin_ns=0, lag_ns=0), VirtualClock()
    ).save()
    assert not beside(kept.path).exists()
    kept.path.write_bytes(b"a film")
    assert recordings.end(kept.id, 5, None).to_dict()["captions"] is None
    with pytest.raises(Refusal, match="no captions"):
        recordings.find_captions(kept.id)
