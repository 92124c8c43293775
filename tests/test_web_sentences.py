"""What the server says to people are sentences: a capital at the beginning, a stop at the end."""

from __future__ import annotations

import asyncio
import re

import pytest
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, Visitor, serving

from realtime_dub.errors import BudgetError, DeviceError, MediaError, RealtimeDubError
from realtime_dub.web.refusals import refused, sentence, sentences

WHOLE = re.compile(r"[^a-z\s].*[.!?…]", re.DOTALL)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("no sound in the file", "No sound in the file."),
        ("There is none.", "There is none."),
        ("it is full!", "It is full!"),
        ("choose one of (1, 2)", "Choose one of (1, 2)."),
        ("use --budget-ms 225 or more", "Use --budget-ms 225 or more."),
        ("talk.mp4: it is empty", "talk.mp4: it is empty."),
        ("--stun is no address", "--stun is no address."),
        ("realtime-dub has ended", "realtime-dub has ended."),
        ("can't be read", "Can't be read."),
        ("wait: ", "Wait."),
        ("", ""),
    ],
)
def test_a_sentence_has_a_capital_and_a_stop_and_names_stay(said: str, read: str) -> None:
    assert sentence(said) == read
    assert sentence(read) == read


@pytest.mark.parametrize(
    "error",
    [
        BudgetError("a budget of 40 ms cannot hold:", "the stages need 225 ms", "use --budget-ms 225 or more"),
        MediaError("there is no picture in", "the video source", "choose another"),
        DeviceError("cannot open", "the microphone"),
        RealtimeDubError("lost"),
    ],
)
def test_every_error_becomes_sentences(error: RealtimeDubError) -> None:
    told = refused(error)
    for words in (told.what, told.do, *sentences(error).split(". ")):
        assert WHOLE.fullmatch(words if words.endswith(".") else f"{words}."), words


def test_a_budget_that_cannot_be_kept_is_refused_in_sentences() -> None:
    async def test() -> None:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            status, told = await visitor.patch(budget_ms=30)
            assert status == 422
            assert told["error"]["what"].startswith("A budget of 30 ms cannot hold"), told
            assert told["error"]["do"].endswith("or more."), told
            at = f"{url}/api/sessions/{visitor.id}"
            told = (await ask(http, "PUT", f"{at}/bank", data=b"no bank", headers=HEADERS))[1]
            assert all(WHOLE.fullmatch(words) for words in told["error"].values()), told

    asyncio.run(test())
