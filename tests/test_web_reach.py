"""``realtime-dub doctor`` with network options: servers that answer, refuse, and do not."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from aioice import stun
from aioice.turn import make_integrity_key
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from on_a_thread import on_a_thread

from realtime_dub import cli
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http import reach
from realtime_dub.web.turn import password_of

USER, PASSWORD, REALM, NONCE = "me", "sesame", "example", b"once"
SECRET = "shared with the relay"
SEEN = ("203.0.113.7", 40_000)


class Relay(asyncio.DatagramProtocol):
    """Answers STUN, and TURN requests that know the password, as RFC 8489 and 8656 have it; relays nothing."""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        asked = stun.parse_message(data)
        answer = stun.Message(asked.message_method, stun.Class.RESPONSE, asked.transaction_id)
        if asked.message_method == stun.Method.BINDING:
            answer.attributes["XOR-MAPPED-ADDRESS"] = SEEN
        else:
            name = asked.attributes.get("USERNAME", USER)
            key = make_integrity_key(name, REALM, PASSWORD if name == USER else password_of(SECRET, name))
            if "USERNAME" not in asked.attributes or not asked.check_message_integrity(key):
                answer.message_class = stun.Class.ERROR
                answer.attributes.update({"ERROR-CODE": (401, "Unauthorized"), "REALM": REALM, "NONCE": NONCE})
            else:
                answer.attributes["LIFETIME"] = asked.attributes["LIFETIME"]
                answer.attributes["XOR-MAPPED-ADDRESS"] = SEEN
                answer.attributes["XOR-RELAYED-ADDRESS"] = ("198.51.100.9", 50_000)
                answer.add_message_integrity(key)
        self.transport.sendto(bytes(answer), addr)


@contextmanager
def relay() -> Iterator[int]:
    """The port of one on loopback."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Relay, ("127.0.0.1", 0))
        yield transport.get_extra_info("sockname")[1]
        transport.close()

    with on_a_thread(serve()) as port:
        yield port


def only(config: ServeConfig) -> reach.Finding:
    (found,) = reach.examine(config)
    return found


def turned(port: int, password: str = PASSWORD) -> ServeConfig:
    return ServeConfig(turn=f"turn:127.0.0.1:{port}", turn_user=USER, turn_password=password)


def test_stun_tells_the_address_and_the_public_one_is_compared() -> None:
    with relay() as port:
        for ip, state in (("203.0.113.7", "ok"), ("203.0.113.8", "fail")):
            first, second = reach.examine(ServeConfig(stun=f"stun:127.0.0.1:{port}", public_ip=ip))
            assert (first.state, "seen as 203.0.113.7:40000" in first.detail) == ("ok", True)
            assert second.state == state
        assert "--public-ip 203.0.113.7" in second.advice


def test_turn_gives_a_relay_to_who_knows_the_password() -> None:
    with relay() as port:
        found = only(turned(port))
        assert (found.state, found.detail.partition(": ")[2]) == ("ok", "relays at 198.51.100.9:50000")
        refused = only(turned(port, "wrong"))
        assert (refused.state, refused.advice) == ("fail", "correct them")
        assert "user name and password" in refused.detail
        assert "wrong" not in refused.detail


def test_turn_is_tried_with_the_pass_that_a_visitor_would_get() -> None:
    with relay() as port:
        for secret, state in ((SECRET, "ok"), ("another secret", "fail")):
            assert only(ServeConfig(turn=f"turn:127.0.0.1:{port}", turn_secret=secret)).state == state


def test_servers_that_are_silent_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "ANSWER_S", 0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        for config in (ServeConfig(stun=f"stun:127.0.0.1:{port}"), turned(port)):
            found = only(config)
            assert (found.state, "does not answer" in found.detail) == ("fail", True)
            assert found.advice.startswith("check the address")
    found = only(ServeConfig(stun="stun:nowhere.invalid"))
    assert found.state == "fail"
    assert only(ServeConfig(stun="stuns:example.org")).state == "warn"
    tcp = ServeConfig(turn=f"turn:127.0.0.1:{port}?transport=tcp", turn_user=USER, turn_password=PASSWORD)
    assert only(tcp).state == "fail"


def test_a_private_address_is_not_public() -> None:
    assert reach.public_ip(IPv4Address("192.168.1.7"), None).state == "fail"
    assert reach.public_ip(IPv4Address("8.8.8.8"), None).state == "warn"


def test_ports_that_are_taken_are_counted() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        assert reach.udp_ports(range(port, port + 1)).state == "fail"
        found = reach.udp_ports(range(port - 3, port + 4))
        assert (found.state, str(port) in found.detail) == ("warn", True)
    assert reach.udp_ports(range(port, port + 1)).state == "ok"


def certified(folder: Path, days: tuple[int, int] = (-1, 90), names: tuple[str, ...] = ("dub.example",)) -> ServeConfig:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dub")])
    begins, ends = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=each) for each in days)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(begins).not_valid_after(ends)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(pem(key))
    return ServeConfig(tls_cert=folder / "cert.pem", tls_key=folder / "key.pem")


def pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    kept = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)


@pytest.mark.parametrize(
    ("days", "names", "state", "says"),
    [
        ((-1, 90), ("dub.example", "other.example"), "ok", "for dub.example, other.example until"),
        ((-1, 5), ("dub.example",), "warn", "until"),
        ((-9, -1), ("dub.example",), "fail", "expired"),
        ((1, 9), ("dub.example",), "fail", "begins"),
        ((-1, 90), (), "fail", "no host"),
    ],
)
def test_certificates_are_read(
    tmp_path: Path, days: tuple[int, int], names: tuple[str, ...], state: str, says: str
) -> None:
    found = only(certified(tmp_path, days, names))
    assert (found.state, says in found.detail) == (state, True), found
    assert bool(found.advice) == (state != "ok")


def test_a_key_that_is_another_or_none_or_locked(tmp_path: Path) -> None:
    config = certified(tmp_path)
    other = ec.generate_private_key(ec.SECP256R1())
    for content, says in ((pem(other), "is not the key"), (pem(other, b"x"), "passphrase"), (b"no key", "no PEM")):
        (tmp_path / "key.pem").write_bytes(content)
        found = only(config)
        assert (found.state, says in found.detail) == ("fail", True), found
    (tmp_path / "cert.pem").unlink()
    assert "No such file" in only(config).detail


def test_the_command_tries_them_and_fails_with_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("realtime_dub.doctor.examine", lambda bundle: [])
    monkeypatch.setenv("COLUMNS", "200")
    with relay() as port:
        given = ["doctor", "--stun", f"stun:127.0.0.1:{port}"]
        assert cli.run(given) == 0
        assert re.search(r"ok .*STUN .*seen as 203\.0\.113\.7", capsys.readouterr().out)
        assert cli.run([*given, "--public-ip", "203.0.113.8"]) == 2
        assert cli.run([*given, "--udp-ports", "5-1"]) == 2
        assert cli.run(["doctor"]) == 0
