"""Content credentials: real files, signed, read by c2pa's own reader, changed, and read again."""

from __future__ import annotations

import os
import resource
import signal
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from signed import IPTC, SECONDS, SHA, actions, by_c2pa, changed, jpeg, png, statement_of, wav, write_dub

from realtime_dub import cli
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.media import MS, NS
from realtime_dub.trust import certificate
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.intervals import GAP_NS, MOST, Intervals
from realtime_dub.trust.kinds import sidecar_of
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.signers import Signs, signer
from realtime_dub.trust.signing import checked_signer, sign_bytes, sign_file
from realtime_dub.trust.statement import Statement, read
from realtime_dub.trust.tag import Tag, read_tag

pytestmark = pytest.mark.computes

KINDS = (".mp4", ".m4v", ".mov", ".mkv", ".ts", ".flv")
BESIDE = (".mkv", ".ts", ".flv")


@pytest.fixture(scope="module")
def own() -> Signs:
    return signer(SigningOptions())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_dub(tmp_path / "dub.mp4").path


@pytest.mark.parametrize("suffix", KINDS)
def test_a_film_says_when_it_was_dubbed(tmp_path: Path, own: Signs, suffix: str) -> None:
    made = write_dub(tmp_path / f"dub{suffix}")
    before = made.path.read_bytes()
    where = sign_file(made.path, statement_of(made), own)
    assert (where != made.path) == (suffix in BESIDE)
    if suffix in BESIDE:
        assert made.path.read_bytes() == before
    found = by_c2pa(made.path)
    assert found["validation_state"] == "Valid"
    assert [each["code"] for each in found["validation_status"]] == ["signingCredential.untrusted"]
    assert changed(found) == SECONDS
    first, edited = actions(found)
    assert (first["action"], edited["action"]) == ("c2pa.created", "c2pa.edited")
    assert first["digitalSourceType"] == edited["digitalSourceType"] == IPTC + "compositeWithTrainedAlgorithmicMedia"
    assert edited["parameters"]["realtime-dub.bundle.sha256"] == SHA
    told = inspect(made.path)
    assert (told.state, told.exit_code, told.dubbed, told.beside) == ("untrusted", 10, True, suffix in BESIDE)
    assert told.says is not None
    assert told.says.dubbed == tuple(SECONDS)


@pytest.mark.parametrize("make", [png, jpeg, wav])
def test_pictures_and_sounds_are_signed(tmp_path: Path, own: Signs, make) -> None:
    made = "voice" if make is wav else "picture"
    path = tmp_path / "made"
    path.write_bytes(sign_bytes(make(), Statement(made, "mouthbank"), own))
    found = by_c2pa(path)
    assert found["validation_state"] == "Valid"
    kind = "trainedAlgorithmicMedia" if make is wav else "compositeWithTrainedAlgorithmicMedia"
    assert {each["digitalSourceType"] for each in actions(found)} == {IPTC + kind}
    data = bytearray(path.read_bytes())
    data[-3 if make is not wav else 60] ^= 1
    path.write_bytes(data)
    assert inspect(path).state == "broken"


@pytest.mark.parametrize("suffix", KINDS)
def test_a_byte_that_was_changed_is_told(tmp_path: Path, own: Signs, suffix: str) -> None:
    made = write_dub(tmp_path / f"dub{suffix}")
    size = made.path.stat().st_size
    sign_file(made.path, statement_of(made), own)
    signed = made.path.read_bytes()
    for changed_to in (signed[: -size // 3], _flipped(signed, len(signed) - size // 4), _flipped(signed, -5)):
        made.path.write_bytes(changed_to)
        told = inspect(made.path)
        assert (told.state, told.exit_code) == ("broken", 11)
        assert told.why


def _flipped(data: bytes, at: int) -> bytes:
    changed_to = bytearray(data)
    changed_to[at] ^= 0x10
    return bytes(changed_to)


def test_the_credentials_of_another_film_do_not_count(tmp_path: Path, own: Signs) -> None:
    one, other = write_dub(tmp_path / "one.mkv"), write_dub(tmp_path / "other.mkv", 40)
    sign_file(one.path, statement_of(one), own)
    sidecar_of(one.path).rename(sidecar_of(other.path))
    assert inspect(other.path).state == "broken"
    sidecar_of(other.path).write_bytes(b"nothing")
    assert inspect(other.path).state == "broken"


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    key, chain = certificate.own()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    before = key.read_bytes()
    assert certificate.own() == (key, chain)
    assert key.read_bytes() == before
    assert [path.name for path in key.parent.parent.iterdir()] == ["signing"]
    for each in x509.load_pem_x509_certificates(chain.read_bytes()):
        # Not in its bytes as a whole: a short name may be in a key or a signature by chance.
        told = [each.subject.rfc4514_string(), each.issuer.rfc4514_string(), *map(str, each.extensions)]
        for named in (os.uname().nodename, str(Path.home())):
            assert not any(named in part for part in told)


def test_whoever_trusts_the_authority_calls_it_valid(film: Path, own: Signs) -> None:
    sign_file(film, Statement(), own)
    trusted = inspect(film, trust=certificate.own()[1])
    assert (trusted.state, trusted.exit_code) == ("valid", 0)


def test_where_no_key_can_be_made_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(MediaError, match="cannot make a key"):
        signer(SigningOptions())


def test_a_film_that_has_credentials_goes_into_those_of_its_dub(tmp_path: Path, own: Signs) -> None:
    source = write_dub(tmp_path / "source.mp4", 30)
    sign_file(source.path, statement_of(source), own)
    dub = write_dub(tmp_path / "dub.mp4")
    sign_file(dub.path, statement_of(dub), own, source.path)
    found = by_c2pa(dub.path)
    assert found["validation_state"] == "Valid"
    assert [each["action"] for each in actions(found)] == ["c2pa.opened", "c2pa.edited"]
    (ingredient,) = found["manifests"][found["active_manifest"]]["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    told = inspect(dub.path)
    assert [each.dubbed for each in told.sources] == [((0.4, 1.0),)]


def test_a_film_without_credentials_leaves_its_name_nowhere(tmp_path: Path, own: Signs) -> None:
    source, dub = write_dub(tmp_path / "mother.mp4", 30), write_dub(tmp_path / "dub.mp4")
    sign_file(dub.path, statement_of(dub), own, source.path)
    assert by_c2pa(dub.path)["validation_state"] == "Valid"
    assert inspect(dub.path).sources == ()
    assert b"mother" not in dub.path.read_bytes()


def test_a_film_in_which_nothing_was_changed_says_so(tmp_path: Path, own: Signs) -> None:
    made = write_dub(tmp_path / "dub.mp4", 9)
    assert made.dubbed == ()
    sign_file(made.path, statement_of(made), own)
    told = inspect(made.path)
    assert told.says is not None
    assert (told.says.source_type, told.says.dubbed, told.dubbed) == ("composite", (), False)


def test_a_file_without_anything_is_missing_them(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png())
    assert (inspect(path).state, inspect(path).exit_code, inspect(path).dubbed) == ("missing", 12, False)
    for bad, why in ((tmp_path, "directory|folder"), (tmp_path / "none.mp4", "no such file")):
        with pytest.raises(MediaError, match=why):
            inspect(bad)


def test_a_full_disk_leaves_the_film_as_it_was(film: Path, own: Signs) -> None:
    before, limits = film.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(MediaError, match="too large"):
            sign_file(film, Statement(), own)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert film.read_bytes() == before
    assert list(film.parent.iterdir()) == [film]


def test_ctrl_c_while_it_is_signed_leaves_the_film_as_it_was(film: Path, own: Signs) -> None:
    before = film.read_bytes()

    def slowly(data: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        while not interrupted:
            pass
        return own.sign(data)

    interrupted: list[int] = []

    def hears(number: int, frame: object) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    held = signal.signal(signal.SIGINT, hears)
    try:
        with pytest.raises(KeyboardInterrupt):
            sign_file(film, Statement(), Signs(own.algorithm, own.chain, slowly))
    finally:
        signal.signal(signal.SIGINT, held)
    assert film.read_bytes() == before
    assert list(film.parent.iterdir()) == [film]


def test_a_link_stays_a_link_and_rights_stay(tmp_path: Path, film: Path, own: Signs) -> None:
    film.chmod(0o640)
    link = tmp_path / "link.mp4"
    link.symlink_to(film)
    assert sign_file(link, Statement(), own) == link
    assert link.is_symlink()
    assert stat.S_IMODE(film.stat().st_mode) == 0o640
    assert inspect(film).state == "untrusted"


def _pem(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("cert", "key", "why"),
    [
        ("chain.pem", None, "both --sign-cert and --sign-key"),
        ("none.pem", "key.pem", "no such file"),
        ("words.pem", "key.pem", "cannot use --sign-cert"),
        ("chain.pem", "words.pem", "cannot use --sign-key"),
        ("chain.pem", "other.pem", "not the key of"),
        ("chain.pem", "locked.pem", "password"),
        ("old.pem", "old-key.pem", "cannot sign"),
    ],
)
def test_what_cannot_sign_is_one_line(
    tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str], cert: str, key: str | None, why: str
) -> None:
    from cryptography.hazmat.primitives import serialization

    coded, chain = certificate.make_chain()
    old_key, old = certificate.make_chain(timedelta(minutes=1))
    locked = serialization.load_pem_private_key(coded, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    written = {"chain.pem": chain, "key.pem": coded, "words.pem": b"words", "locked.pem": locked}
    written |= {"other.pem": old_key, "old.pem": old, "old-key.pem": old_key}
    for name, data in written.items():
        _pem(tmp_path, name, data)
    before = film.read_bytes()
    given_key = [] if key is None else ["--sign-key", str(tmp_path / key)]
    assert cli.run(["sign", str(film), "--sign-cert", str(tmp_path / cert), *given_key]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert why in err
    assert film.read_bytes() == before


@pytest.mark.parametrize("kind", ["p384", "ed25519", "rsa"])
def test_keys_of_other_kinds_sign(tmp_path: Path, film: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    made = {
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "rsa": lambda: rsa.generate_private_key(65_537, 2048),
    }[kind]()
    authority = ec.generate_private_key(ec.SECP256R1())
    year = timedelta(days=365)
    leaf = certificate._certificate("signer", made.public_key(), authority, year, is_authority=False)
    root = certificate._certificate("authority", authority.public_key(), authority, year, is_authority=True)
    pem = serialization.Encoding.PEM
    chain = _pem(tmp_path, "chain.pem", leaf.public_bytes(pem) + root.public_bytes(pem))
    plain = made.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key = _pem(tmp_path, "key.pem", plain)
    sign_file(film, Statement(), checked_signer(SigningOptions(chain, key)))
    found = by_c2pa(film)
    assert found["validation_state"] == "Valid"
    assert inspect(film, trust=chain).state == "valid"


def test_what_is_no_certificate_is_not_trusted(tmp_path: Path, film: Path) -> None:
    for bad in (_pem(tmp_path, "words.pem", b"words"), tmp_path / "none.pem"):
        with pytest.raises(ConfigError, match="--trust"):
            inspect(film, trust=bad)


def test_a_file_that_has_credentials_gets_no_others(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sign", str(film)]) == 0
    assert capsys.readouterr().out == f"signed {film}\n"
    signed = film.read_bytes()
    assert cli.run(["sign", str(film)]) == 2
    assert "has content credentials (untrusted)" in capsys.readouterr().err
    assert film.read_bytes() == signed


def test_what_is_signed_later_counts_as_dubbed_from_end_to_end(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", str(film)]) == 13
    assert "interrupted" in capsys.readouterr().out
    assert cli.run(["sign", str(film)]) == 0
    assert changed(by_c2pa(film))[0] == pytest.approx((0.0, 2.0), abs=0.05)
    told = inspect(film).says
    assert told is not None
    assert (told.told["bundle.sha256"], told.told["exact"]) == (SHA, "no")


# What is said and read.


def test_short_holes_are_no_holes_and_intervals_are_few() -> None:
    found = Intervals()
    for k in range(MOST + 200):
        found.add(k * 2 * NS, k * 2 * NS + NS, True)
        found.add(k * 2 * NS + NS, (k + 1) * 2 * NS, False)
    assert len(found.found()) == MOST
    assert found.found()[0][0] == 0
    assert found.found()[-1][1] == found.duration_ns - NS
    close = Intervals()
    for k in range(10):
        close.add(k * GAP_NS, k * GAP_NS + MS, True)
    assert close.found() == ((0, 9 * GAP_NS + MS),)


@given(st.lists(st.tuples(st.integers(1, 4_000), st.booleans()), max_size=40))
def test_no_change_is_left_out(shown: list[tuple[int, bool]]) -> None:
    found, at = Intervals(), 0
    was_changed = []
    for length, changed_now in shown:
        found.add(at * MS, (at + length) * MS, changed_now)
        was_changed += [at * MS, (at + length) * MS - 1] if changed_now else []
        at += length
    assert all(any(start <= each < end for start, end in found.found()) for each in was_changed)
    assert all(before[1] + GAP_NS <= after[0] for before, after in zip(found.found(), found.found()[1:], strict=False))


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["assertions", "label", "data", "actions", "changes", "region", "time", "start", "parameters"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_what_anybody_wrote_is_read(inside: object) -> None:
    manifest = {
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": inside}}],
        "claim_generator_info": inside,
    }
    assert read(manifest).dubbed is None
    assert read({"assertions": inside, "claim_generator": inside}).generator == (
        inside if isinstance(inside, str) else ""
    )


def test_the_words_in_a_header_are_read_back(tmp_path: Path) -> None:
    tag = Tag(bundle='a bundle\n"with" marks', sha256=SHA)
    path = tmp_path / "a"
    path.write_bytes(bytes(100_000) + str(tag).encode() + bytes(500_000))
    assert read_tag(path) == Tag(bundle="a bundle__with_ marks", sha256=SHA)
    path.write_bytes(bytes(500_000) + str(Tag()).encode() + bytes(10))
    assert read_tag(path) == Tag()
    path.write_bytes(bytes(100))
    assert read_tag(path) is None
