"""A face in a room is moved by others' voices only after its owner agreed; what is known of it can be deleted."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
import pytest

from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.trust import consent
from realtime_dub.web.config import SessionOptions
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.agreement import Agreement

pytestmark = pytest.mark.computes


@pytest.fixture(autouse=True)
def _state(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


async def asked(**options: Any) -> Agreement:
    agreement = Agreement("0123456789abcdef")
    await agreement.check(SessionOptions(**options))
    return agreement


def run(coroutine: Any) -> Any:
    import asyncio

    return asyncio.run(coroutine)


def test_without_it_an_interpreters_voice_is_refused() -> None:
    for options in ({"voice": "room:hall"}, {"voice": "room:hall:es"}, {"room": "hall", "languages": ("es",)}):
        with pytest.raises(Refusal) as refused:
            run(asked(**options))
        assert refused.value.status == 403
        assert "you have not agreed" in refused.value.what
        assert refused.value.do


@pytest.mark.parametrize("voice", ["mic", "none", "upload:abc"])
def test_nobody_is_asked_where_nobody_else_speaks(voice: str) -> None:
    assert run(asked(voice=voice)).record is None


def test_interpreters_and_viewers_are_not_asked() -> None:
    assert run(asked(voice="room:hall", role="viewer", room="hall")).record is None


def test_what_was_agreed_to_is_recorded_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "realtime_dub.web"):
        agreement = run(asked(voice="room:hall", consent=True))
    assert agreement.record is not None
    assert consent.read(agreement.record.to_bytes(), b"0123456789abcdef")[1] == "given"
    assert [(each.to, each.seal) for each in caplog.records] == [("room", agreement.record.seal)]  # type: ignore[attr-defined]


def test_a_bank_that_the_page_keeps_has_the_record_of_its_face() -> None:
    agreement, bank = Agreement("0123"), Bank(neutral=np.asarray(TEMPLATE, np.float32))
    assert run(agreement.for_bank(bank.subject)) == b""  # nobody was asked
    run(agreement.agreed("learning the face"))
    bank.consent = run(agreement.for_bank(bank.subject))
    packed = io.BytesIO()
    np.savez(packed, format=np.array(1), neutral=bank.neutral, consent=np.frombuffer(bank.consent, np.uint8))
    again = Bank.read(packed.getvalue(), "the file")
    found, standing = consent.read(again.consent, again.subject)
    assert standing == "given"
    assert found is not None
    assert found.who == "the person at the page"


def test_taking_it_back_leaves_a_line_that_proves_it(caplog: pytest.LogCaptureFixture) -> None:
    agreement = run(asked(voice="room:hall", consent=True))
    with caplog.at_level(logging.INFO, "realtime_dub.web"):
        line = agreement.revoked()
    assert "session 012345: the face is forgotten (agreed to at " in line
    assert agreement.record is None
    assert [each.what for each in caplog.records] == [line]  # type: ignore[attr-defined]
    with pytest.raises(Refusal):
        run(agreement.check(SessionOptions(voice="room:hall")))


def test_no_folder_for_the_key_is_no_reason_to_refuse(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    assert run(asked(voice="room:hall", consent=True)).record is None
