"""What the server says to people has a code, and under it a text in each language of the page."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from test_web_texts import TABLES

import realtime_dub.web
from realtime_dub.errors import UserError
from realtime_dub.web.refusals import Refusal, refused, sentence
from realtime_dub.web.rtc.dropped import NOTES
from realtime_dub.web.said import Said, code_of, coded, said
from realtime_dub.web.studio import admission, advice, file_kinds, recordings, seats, session, session_recorder

pytestmark = pytest.mark.computes
WEB = Path(realtime_dub.web.__file__).parent
TABLE = {key.removeprefix("told."): text for key, text in TABLES["en"].items() if key.startswith("told.")}
NAMED = [*NOTES.values(), *advice.NO_VOICE.values(), *seats.FULL.values(), seats.LINE_FULL, session.FULL]
NAMED += [admission.MOST, admission.FULL, recordings.FULL, file_kinds.KIND, file_kinds.NO_KIND]
NAMED += [session_recorder.LONGEST, session_recorder.ENDED, session_recorder.LOST]
# What only a program can do wrong: a person at the page never meets it, and whoever writes the program reads English.
PROTOCOLS = ("http/whip.py", "http/routes.py", "rtc/peer.py", "rtc/candidates.py", "workers/programs_in_front.py")
PROTOCOLS += ("http/captioning.py", "http/voice_sockets.py", "http/voices.py", "studio/captions.py", "studio/pcm.py")
PROTOCOLS += ("studio/program.py", "studio/realtime.py", "studio/webvtt.py")
FOR_PROGRAMS = {
    "The header Host names no host.", "Send one name, with its port.", "The header X-Requested-With is missing.",
    "The request names no path of this server.", "Begin it with /.", "The request is compressed.",
    "Send it without Content-Encoding.", "The request does not say how long it is.", "Send it with Content-Length.",
    "The request has an impossible date.", "Correct the date.", "The request has an impossible range.",
    "Write it as bytes=FIRST-LAST.", "The upload is not a form.", "Send the file as multipart/form-data.",
    "The upload is a form.", "Send the file itself as the body.",
    "The form has no file.", "Send one file.", "The form has more than one file.", "Only some options can be changed.",
    "Too many recordings were asked for.", "Too many avatars were asked for.",
    "The request cannot be read.", "Send it as HTTP describes.",
    "The form cannot be read.", "Send one file as multipart/form-data.", "The request was refused.", "Change it.",
}  # fmt: skip


def sentences() -> list[tuple[str, str]]:
    """(file, sentence) of all that is refused with, advised, noted or said by name, as it stands in the source."""
    found = [("", text) for text in NAMED]
    for path in sorted(WEB.rglob("*.py")):
        name, tree = path.relative_to(WEB).as_posix(), ast.parse(path.read_text())
        given = {each.id: node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)
                 for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}  # fmt: skip
        for call in (each for each in ast.walk(tree) if isinstance(each, ast.Call)):
            called = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            first, last = {"Refusal": (1, 3), "_said": (1, 3), "said": (0, 1), "_note": (0, 1)}.get(called, (0, 0))
            found += [(name, text) for each in call.args[first:last] for text in strings(each, given)]
    return [(name, text) for name, text in found if name not in PROTOCOLS and text not in FOR_PROGRAMS]


def strings(node: ast.expr, given: dict[str, ast.expr]) -> list[str]:
    """Those that an argument may be, as far as its file says."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Name):
        return [] if node.id not in given else strings(given[node.id], {**given, node.id: ast.Constant(None)})
    parts = {ast.IfExp: ("body", "orelse"), ast.Starred: ("value",)}.get(type(node), ())
    each = [getattr(node, part) for part in parts] + list(getattr(node, "elts", ()))
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get":
        each += node.args[1:]
    return [text for one in each for text in strings(one, given)]


def literals() -> str:
    parts = (ast.walk(ast.parse(path.read_text())) for path in WEB.rglob("*.py"))
    return "\n".join(
        n.value for tree in parts for n in tree if isinstance(n, ast.Constant) and isinstance(n.value, str)
    )


def test_whatever_is_said_to_people_is_in_the_tables() -> None:
    missing = {code_of(text): text for _, text in sentences() if TABLE.get(code_of(text)) != text}
    assert missing == {}


def test_every_told_text_of_the_tables_is_said_somewhere() -> None:
    told = literals()
    assert {code: text for code, text in TABLE.items() if text not in told} == {}
    assert {code: text for code, text in TABLE.items() if code_of(text) != code} == {}


def test_a_sentence_goes_with_its_code_and_values() -> None:
    full = said("The studio is full: {most} are at work.", most=2)
    assert full == sentence(full) == "The studio is full: 2 are at work."
    assert coded(what=full, do="Try again.", none="") == {
        "what": {"code": "the_studio_is_full_are_at_work", "values": {"most": 2}},
        "do": {"code": "try_again", "values": {}},
    }
    told = json.loads(json.dumps(Refusal(503, full, "wait a moment").body()))
    assert told["error"] == {"what": full, "do": "Wait a moment."}
    assert told["codes"]["what"]["values"] == {"most": 2}
    assert told["codes"]["do"]["code"] == "wait_a_moment"


def test_what_no_table_has_keeps_its_words() -> None:
    body: Any = refused(UserError("no picture in", "talk.mp4", "choose another")).body()
    assert body["error"]["what"] == "No picture in talk.mp4."
    assert body["codes"]["what"]["code"] not in TABLE
    assert not isinstance(body["error"]["what"], Said)
