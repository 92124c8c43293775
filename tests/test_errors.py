"""Every error is one line with what, to what, and what to do; its place in the tree gives the exit code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from realtime_dub import errors
from realtime_dub.errors import EndOfStream, MediaError, RealtimeDubError, UserError
from realtime_dub.validation import first_problem

pytestmark = pytest.mark.computes

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UserError)]


def test_the_parts_are_joined_into_one_sentence() -> None:
    error = MediaError("cannot read", "talk.mp4: it is empty", "choose a video that plays")
    assert str(error) == "cannot read talk.mp4: it is empty; choose a video that plays"


def test_parts_left_out_leave_no_trace() -> None:
    assert str(MediaError("the disk is full")) == "the disk is full"
    assert str(MediaError("the disk is full", do="free some space")) == "the disk is full; free some space"


@given(st.text(), st.text(), st.text())
def test_a_message_is_always_one_line(what: str, to: str, do: str) -> None:
    message = str(UserError(what, to, do))
    assert message.splitlines() in ([], [message])
    assert message == message.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_caller_can_mend_exits_with_2(kind: type[UserError]) -> None:
    assert kind.exit_code == 2
    assert issubclass(kind, RealtimeDubError)


def test_what_he_cannot_mend_exits_with_1() -> None:
    assert RealtimeDubError.exit_code == 1


def test_the_end_of_a_stream_is_no_error() -> None:
    assert not issubclass(EndOfStream, RealtimeDubError)


def test_the_docstring_draws_the_whole_tree() -> None:
    assert errors.__doc__ is not None
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in errors.__doc__] == []


def test_a_strangers_name_for_an_option_stays_on_one_line() -> None:
    class Known(BaseModel):
        model_config = ConfigDict(extra="forbid")

    with pytest.raises(ValidationError) as refused:
        Known(**{"a\nb\x1b[31m\u202e": 1})
    assert first_problem(refused.value).where == "a b\\x1b[31m\\u202e"
