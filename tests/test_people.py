"""Who speaks: names of clips, and the table beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.common.people import groups, people_of, read_people, speaker_of
from realtime_dub.errors import ConfigError

pytestmark = pytest.mark.computes

TABLE = "speaker\tgender\tlanguage\na\twoman\tEnglish\nb\tman\t\nc\twoman\tWelsh\n"


def test_a_name_or_a_folder_says_who_speaks() -> None:
    data = Path("data")
    found = [speaker_of(data / name, data) for name in ("a_1.mp4", "b/two.mp4", "three.mp4")]
    assert found == ["a", "b", "data"]


def test_clips_are_grouped_by_gender_and_by_language(tmp_path: Path) -> None:
    (tmp_path / "people.tsv").write_text(TABLE)
    people = people_of(tmp_path)
    found = groups(["c", "a", "b", "nobody", "a"], people)
    assert found == {"gender": {"man": [2], "woman": [0, 1, 4]}, "language": {"English": [1, 4], "Welsh": [0]}}


def test_without_a_table_nobody_is_known_and_one_asked_for_must_be_there(tmp_path: Path) -> None:
    assert people_of(tmp_path) == {}
    with pytest.raises(FileNotFoundError):
        people_of(tmp_path, tmp_path / "none.tsv")


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.tsv"
    path.write_text("speaker\tgender\na\twoman\n")
    with pytest.raises(ConfigError, match="no column 'language'"):
        read_people(path)
