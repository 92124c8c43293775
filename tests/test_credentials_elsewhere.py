"""Signing and looking with others: a service that keeps the key, files at an address, a run that was killed."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from media_files import video_times
from signed import by_c2pa, changed, server, statement_of, write_dub

from realtime_dub import cli
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.trust import certificate
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.remote import local_copy
from realtime_dub.trust.signers import signer
from realtime_dub.trust.signing import checked_signer, sign_file
from realtime_dub.trust.statement import Statement


class Service:
    """Signs what is posted to it, as a service with a hardware key does."""

    def __init__(self, folder: Path) -> None:
        coded, chain = certificate.make_chain()
        self.cert = folder / "chain.pem"
        self.cert.write_bytes(chain)
        self._key = serialization.load_pem_private_key(coded, None)
        self.asked: list[tuple[int, str | None]] = []

    async def der(self, request: web.Request) -> web.Response:
        data = await request.read()
        self.asked.append((len(data), request.headers.get("Authorization")))
        return web.Response(body=self._key.sign(data, ec.ECDSA(hashes.SHA256())))

    async def plain(self, request: web.Request) -> web.Response:
        signature = self._key.sign(await request.read(), ec.ECDSA(hashes.SHA256()))
        return web.Response(body=b"".join(each.to_bytes(32, "big") for each in utils.decode_dss_signature(signature)))

    async def wrong(self, request: web.Request) -> web.Response:
        return web.Response(body=bytes(64))

    async def words(self, request: web.Request) -> web.Response:
        return web.Response(text="sorry")

    async def refuses(self, request: web.Request) -> web.Response:
        raise web.HTTPForbidden

    async def leads_away(self, request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/der")


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.mark.parametrize("answer", ["der", "plain"])
def test_a_service_signs_and_sees_nothing_of_the_film(
    tmp_path: Path, service: Service, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALTIME_DUB_SIGNER_TOKEN", "a secret")
    made = write_dub(tmp_path / "dub.mp4")
    with server({"/sign": getattr(service, answer)}) as address:
        signs = checked_signer(SigningOptions(service.cert, url=f"{address}/sign"))
        sign_file(made.path, statement_of(made), signs)
    assert by_c2pa(made.path)["validation_state"] == "Valid"
    assert inspect(made.path, trust=service.cert).state == "valid"
    assert all(size < 2_000 and token == "Bearer a secret" for size, token in service.asked)


@pytest.mark.parametrize(
    ("answer", "why"),
    [("wrong", "cannot sign"), ("words", "no signature"), ("refuses", "answered 403"), ("leads_away", "answered 307")],
)
def test_a_service_that_does_not_sign_is_told_at_once(service: Service, answer: str, why: str) -> None:
    routes = {"/sign": getattr(service, answer), "/der": service.der}
    with server(routes) as address, pytest.raises(ConfigError, match=why):
        checked_signer(SigningOptions(service.cert, url=f"{address}/sign"))
    assert not service.asked


def test_a_service_that_leaves_in_the_middle_leaves_the_film_as_it_was(tmp_path: Path, service: Service) -> None:
    made = write_dub(tmp_path / "dub.mp4")
    before = made.path.read_bytes()
    with server({"/sign": service.der}) as address:
        signs = checked_signer(SigningOptions(service.cert, url=f"{address}/sign"))
    with pytest.raises(MediaError, match="connection refused"):
        sign_file(made.path, statement_of(made), signs)
    assert made.path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"url": "https://signer.example/sign"}, "--sign-cert alone"),
        ({"url": "http://signer.example/sign", "cert": Path("c")}, "begins with https"),
        ({"url": "file:///etc/passwd", "cert": Path("c")}, "begins with https"),
        ({"url": "https://signer.example:x/", "cert": Path("c")}, "begins with https"),
        ({"tsa": "ftp://tsa.example"}, "begins with https"),
        ({"tsa": "http://"}, "begins with https"),
    ],
)
def test_addresses_that_cannot_be_used_are_told(options: dict, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        signer(SigningOptions(**options))


def test_a_time_stamp_authority_that_does_not_answer_is_told(tmp_path: Path, service: Service) -> None:
    with server({"/tsa": service.words}) as address, pytest.raises(ConfigError, match="cannot sign"):
        checked_signer(SigningOptions(tsa=f"{address}/tsa"))


EXTENSIONS = """
[usual]
default_tsa = tsa
[tsa]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
certs = {folder}/root.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ordering = no
tsa_name = no
ess_cert_id_chain = no
[stamps]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def stamps(folder: Path) -> list[str]:
    """A time stamp authority of openssl's; the command that answers what is in ``asked``."""
    settings = folder / "tsa.cnf"
    settings.write_text(EXTENSIONS.format(folder=folder))
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    root = ["openssl", "req", "-x509", *made, "-subj", "/O=stamps/CN=root", "-keyout", folder / "root.key"]
    subprocess.run([*root, "-out", folder / "root.pem"], check=True, capture_output=True)
    asked = ["openssl", "req", *made, "-subj", "/O=stamps/CN=tsa", "-keyout", folder / "tsa.key"]
    subprocess.run([*asked, "-out", folder / "tsa.csr"], check=True, capture_output=True)
    signed = ["openssl", "x509", "-req", "-in", folder / "tsa.csr", "-CA", folder / "root.pem", "-days", "30"]
    signed += ["-CAkey", folder / "root.key", "-CAcreateserial", "-extfile", settings, "-extensions", "stamps"]
    subprocess.run([*signed, "-out", folder / "tsa.pem"], check=True, capture_output=True)
    (folder / "serial").write_text("01")
    reply = f"openssl ts -reply -config {settings} -section tsa -queryfile {folder}/asked -out {folder}/answer"
    return reply.split()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl, which is the authority here")
def test_a_time_stamp_authority_says_when(tmp_path: Path) -> None:
    reply, asked = stamps(tmp_path), []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.content_type)
        (tmp_path / "asked").write_bytes(await request.read())
        await asyncio.to_thread(subprocess.run, reply, check=True, capture_output=True)
        return web.Response(body=(tmp_path / "answer").read_bytes(), content_type="application/timestamp-reply")

    made = write_dub(tmp_path / "dub.mp4")
    with server({"/tsa": answer}) as address:
        sign_file(made.path, statement_of(made), checked_signer(SigningOptions(tsa=f"{address}/tsa")))
    assert asked == ["application/timestamp-query"] * 2
    assert by_c2pa(made.path)["validation_state"] == "Valid"
    assert abs(datetime.fromisoformat(inspect(made.path).signed_at) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_at_an_address_is_looked_at(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = write_dub(tmp_path / f"dub{suffix}")
    sign_file(made.path, statement_of(made), signer(SigningOptions()))

    async def give(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(tmp_path / request.match_info["name"])

    async def away(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "ftp://127.0.0.1/dub.mp4"})

    with server({"/files/{name}": give, "/away": away}) as address:
        assert cli.run(["inspect", f"{address}/files/dub{suffix}?token=x"]) == 10
        assert "changed: 0.4 to 1.0 s, 1.6 to 2.0 s" in capsys.readouterr().out
        for bad, why in (("/files/none.mp4", "answered 404"), ("/away", "another kind of address")):
            assert cli.run(["inspect", address + bad]) == 2
            assert why in capsys.readouterr().err
    with pytest.raises(MediaError, match="cannot fetch"), local_copy(f"{address}/files/dub{suffix}"):
        pass


SUFFIXES = (".mp4", ".mov", ".mkv", ".ts", ".flv")


@pytest.mark.slow
def test_what_was_killed_plays_and_is_told_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from media_files import clicks, grid, output_format, ticks
        from realtime_dub.publishers.muxer import MuxPublisher
        from realtime_dub.trust.tag import Tag
        fmt = output_format(live=True)
        for suffix in {SUFFIXES}:
            publisher = MuxPublisher({str(tmp_path)!r} + "/dub" + suffix)
            publisher.say(Tag(bundle="mouthbank-motion 9.9.9", sha256="ab" * 32))
            publisher.open(fmt)
            for tick in ticks(fmt, grid(50, fmt.fps), clicks(2, fmt.rate, 1, [1.0])):
                publisher.publish(tick)
            globals()[suffix] = publisher
        print("published", flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "published\n"
        process.send_signal(signal.SIGKILL)
    for suffix in SUFFIXES:
        path = tmp_path / f"dub{suffix}"
        shown = len(video_times(path))
        assert shown >= 50 - 15
        told = inspect(path)
        assert (told.state, told.exit_code, told.dubbed) == ("interrupted", 13, True), suffix
        assert cli.run(["sign", str(path)]) == 0
        assert by_c2pa(path)["validation_state"] == "Valid"
        assert changed(by_c2pa(path))[0] == pytest.approx((0.0, shown / 25), abs=0.1)
        assert len(video_times(path)) == shown
        assert inspect(path).says is not None
    assert "signed" in capsys.readouterr().out


def test_a_statement_of_a_choice_is_kept(tmp_path: Path) -> None:
    made = write_dub(tmp_path / "dub.mp4", 9)
    sign_file(made.path, Statement(notices={"badge": "off"}), signer(SigningOptions()))
    told = inspect(made.path).says
    assert told is not None
    assert told.told["notice.badge"] == "off"
