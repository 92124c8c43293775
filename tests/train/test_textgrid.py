"""TextGrids of the Montreal Forced Aligner as what is said when."""

# ruff: noqa: RUF001

from __future__ import annotations

from pathlib import Path

import pytest

from engines.common.speech.inventory import INDEX, UNKNOWN
from engines.hpm.textgrid import labels_of, phones_in
from realtime_dub.errors import MediaError

pytestmark = pytest.mark.computes
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "say ""42"" now"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.2
            text = "S"
        intervals [3]:
            xmin = 0.2
            xmax = 0.4
            text = "EY1"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
0.5
<exists>
2
"TextTier"
"marks"
0
0.5
1
0.2
"here"
"IntervalTier"
"phones"
0
0.5
3
0
0.1
"sil"
0.1
0.2
"s"
0.2
0.4
"eɪ"
"""


@pytest.mark.parametrize("text", [LONG, SHORT])
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_both_forms_say_the_same(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(text.encode(code))
    wanted = [INDEX[name] for name in ("sil", "s", "e", "ɪ") for _ in range(10)] + [UNKNOWN] * 10
    assert labels_of(path, 50).tolist() == wanted
    assert labels_of(path, 15).tolist() == wanted[:15]
    assert [edges[:2] for edges in phones_in(path)] == [(0, 0.1), (0.1, 0.2), (0.2, 0.4)]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is empty"),
        (b"\xff\x00\x81", "it is no TextGrid"),
        (LONG[:400].encode(), "it is no TextGrid"),
        (LONG.replace("xmax = 0.1\n", 'xmax = "x"\n').encode(), "it is no TextGrid"),
        (LONG.replace('"phones"', '"sounds"').encode(), "its tiers are words, sounds; call one phones"),
    ],
)
def test_what_is_none_is_one_line(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=told):
        phones_in(path)
