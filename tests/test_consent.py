"""Who confirmed that a face may be dubbed: kept in the bank, told where it lacks, deleted with what it is about."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest
from faces import portrait

from realtime_dub import cli
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.paths import data_folder, state_folder
from realtime_dub.trust import certificate, consent, keys

pytestmark = pytest.mark.computes


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "state"))


def bank(path: Path, scale: float = 1.0) -> Path:
    Bank(neutral=(TEMPLATE * scale).astype(np.float32)).save(path)
    return path


def test_a_record_holds_for_its_face_and_no_other() -> None:
    made = consent.give("  Ada \n Lovelace ", "dub", b"her face")
    assert made.who == "Ada Lovelace"
    assert consent.read(made.to_bytes(), b"her face") == (made, "given")
    assert consent.read(made.to_bytes(), b"another")[1] == "broken"
    assert consent.read(b"", b"her face") == (None, "missing")
    assert consent.read(b"{", b"her face") == (None, "broken")


def test_a_changed_record_is_broken() -> None:
    fields = json.loads(consent.give("Ada", "dub", b"face").to_bytes())
    for name, value in (("who", "Eve"), ("at", "2020-01-01T00:00:00Z"), ("purpose", "avatar"), ("seal", "0" * 64)):
        assert consent.read(json.dumps(fields | {name: value}).encode(), b"face")[1] == "broken", name


def test_another_machine_cannot_tell_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = consent.give("Ada", "dub", b"face").to_bytes()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    assert consent.read(made, b"face")[1] == "sealed elsewhere"
    assert not (tmp_path / "elsewhere").exists()  # who reads makes no key
    consent.give("Eve", "dub", b"face")
    assert consent.read(made, b"face")[1] == "sealed elsewhere"


def test_the_key_is_the_users_alone() -> None:
    consent.give("Ada", "dub", b"face")
    key = keys.consent_key()
    assert key == data_folder() / "keys" / "consent.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == consent.KEY_BYTES


def test_keys_of_earlier_versions_move_to_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "before"))
    made = consent.give("Ada", "dub", b"face").to_bytes()
    key, chain = certificate.own()
    signs = key.read_bytes(), chain.read_bytes()
    state_folder().mkdir(parents=True)
    keys.consent_key().rename(state_folder() / "consent.key")
    key.parent.rename(data_folder() / "credentials")
    assert consent.read(made, b"face")[1] == "given"
    assert tuple(each.read_bytes() for each in certificate.own()) == signs
    assert [each.name for each in data_folder().iterdir()] == ["keys"]
    assert not (state_folder() / "consent.key").exists()
    assert stat.S_IMODE(keys.consent_key().stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "  \n", "x" * 201])
def test_no_name_is_no_consent(name: str) -> None:
    with pytest.raises(ConfigError, match="give the name"):
        consent.give(name, "dub", b"face")


def test_a_bank_keeps_its_record_through_copies_and_files(tmp_path: Path) -> None:
    kept = Bank.load(bank(tmp_path / "me.bank"))
    kept.consent = consent.give("Ada", "dub", kept.subject).to_bytes()
    kept.copy().save(tmp_path / "again.bank")
    again = Bank.load(tmp_path / "again.bank")
    assert consent.read(again.consent, again.subject)[1] == "given"


def test_a_bank_with_a_huge_record_is_refused(tmp_path: Path) -> None:
    made = Bank(neutral=np.asarray(TEMPLATE, np.float32), consent=b"x" * 5_000)
    made.save(tmp_path / "me.bank")
    with pytest.raises(BundleError, match="record of consent"):
        Bank.load(tmp_path / "me.bank")


def test_the_command_records_shows_and_revokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(bank(tmp_path / "me.bank"))
    assert cli.run(["consent", path]) == 0
    assert "nobody's consent is recorded" in capsys.readouterr().out
    assert cli.run(["consent", path, "--by", "Ada"]) == 0
    assert cli.run(["consent", path]) == 0
    assert "Ada confirmed it on" in (shown := capsys.readouterr().out)
    assert "sealed by this machine" in shown
    assert cli.run(["consent", path, "--revoke"]) == 0
    told = capsys.readouterr().out
    assert "revoked and deleted: " in told
    assert "Ada confirmed it" in told
    assert not Path(path).exists()
    assert cli.run(["consent", path]) == 2
    assert cli.run(["consent", path, "--by", "Ada", "--revoke"]) == 2


def test_an_avatar_has_it_in_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "me.avatar"
    folder.mkdir()
    assert cli.run(["consent", str(folder)]) == 2  # no avatar
    recording = {"name": "me.mp4", "sha256": "ab" * 32, "width": 640, "height": 480}
    (folder / "avatar.json").write_text(json.dumps({"recording": recording}))
    told = consent.warning("me.avatar", *consent.of_folder(folder))
    assert told is not None
    assert "nobody's consent" in told
    assert cli.run(["consent", str(folder), "--by", "Ada"]) == 0
    assert consent.warning("me.avatar", *consent.of_folder(folder)) is None
    assert cli.run(["consent", str(folder), "--revoke"]) == 0
    assert not folder.exists()
    assert capsys.readouterr().out.count("\n") == 2


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    import cv2

    path = tmp_path / "me.png"
    cv2.imwrite(str(path), portrait())
    return path


def test_enroll_records_it_and_whoever_uses_a_bank_without_is_told(
    photograph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_one, without = tmp_path / "with.bank", tmp_path / "without.bank"
    assert cli.run(["enroll", str(photograph), "-o", str(with_one), "--consent", "Grace Hopper"]) == 0
    assert "consent recorded: Grace Hopper, " in capsys.readouterr().out
    assert cli.run(["enroll", str(photograph), "-o", str(without)]) == 0
    assert "nobody's consent is recorded in it" in " ".join(capsys.readouterr().out.split())

    def use(path: Path) -> list[str]:
        given = ["file", str(photograph), "--mic", "demo", "--seconds", "0.2", "-o", str(tmp_path / "o.mp4")]
        return [*given, "--identity", str(path)]

    assert cli.run(use(with_one)) == 0
    assert "consent" not in capsys.readouterr().err
    assert cli.run(use(without)) == 0
    told = capsys.readouterr().err
    assert told.count("consent is recorded") == 1
