"""Whether visitors from elsewhere will reach a server: each of its network options, really tried."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import socket
from collections.abc import Coroutine
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aioice import stun, turn
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from realtime_dub.finding import Finding
from realtime_dub.paths import size_of_plain_file
from realtime_dub.web.config import ServeConfig

ANSWER_S = 4.0
STUN_PORT, TLS_PORT = 3478, 5349
SOON = datetime.timedelta(days=14)
WRONG_CREDENTIALS = (401, 441)


def examine(config: ServeConfig) -> list[Finding]:
    """Try every option that is given. Blocking, some seconds; starts an event loop of its own."""
    return asyncio.run(_examine(config))


async def _examine(config: ServeConfig) -> list[Finding]:
    found, seen = [], None
    if config.stun is not None:
        seen, finding = await _stun(config.stun)
        found.append(finding)
    if config.turn is not None:
        found.append(await _turn(config))
    if config.public_ip is not None:
        found.append(public_ip(config.public_ip, seen))
    if config.port_range is not None:
        found.append(udp_ports(config.port_range))
    if config.tls_cert is not None and config.tls_key is not None:
        found.append(await asyncio.to_thread(certificate, config.tls_cert, config.tls_key))
    return found


class _Asking(asyncio.DatagramProtocol):
    """One STUN transaction, and what it was answered."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._transaction: stun.Transaction | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        self._transport.sendto(bytes(message))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with contextlib.suppress(ValueError):  # not for us
            message = stun.parse_message(data)
            if self._transaction is not None and message.transaction_id == self._request.transaction_id:
                self._transaction.response_received(message, addr)

    async def ask(self) -> tuple[str, int]:
        """The address that the server sees us under."""
        self._request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        self._transaction = stun.Transaction(self._request, self._server, self)
        answer, _ = await self._transaction.run()
        seen: tuple[str, int] | None = None
        for name in ("XOR-MAPPED-ADDRESS", "MAPPED-ADDRESS"):
            seen = seen or answer.attributes.get(name)
        if seen is None:
            raise ValueError("its answer has no address")
        return seen


async def _stun(url: str) -> tuple[IPv4Address | None, Finding]:
    scheme, host, port = _parts(url)
    if scheme == "stuns":
        do = "give a stun: address: the server itself cannot use stuns:, only browsers can"
        return None, Finding("STUN", "warn", f"{url}: not tried", do)
    do = "check the address, and that UDP leaves this network"
    seen, failed = await _tried("STUN", url, _mapped(host, port), do)
    if seen is None:
        return None, failed
    return IPv4Address(seen[0]), Finding("STUN", "ok", f"{url}: this machine is seen as {seen[0]}:{seen[1]}")


async def _mapped(host: str, port: int) -> tuple[str, int]:
    loop = asyncio.get_running_loop()
    server = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, family=socket.AF_INET))[0][4]
    address = str(server[0]), int(server[1])
    transport, asking = await loop.create_datagram_endpoint(lambda: _Asking(address), remote_addr=address)
    try:
        return await asking.ask()
    finally:
        transport.close()


async def _turn(config: ServeConfig) -> Finding:
    assert config.turn is not None
    scheme, host, port = _parts(config.turn)
    transport = "tcp" if "transport=tcp" in config.turn or scheme == "turns" else "udp"
    way = config.ice_servers[-1]  # as a visitor's page gets it
    work = _allocated(host, port, scheme == "turns", transport, way.get("username"), way.get("credential"))
    leaves = f"check the address, and that {transport.upper()} port {port} is open there"
    relayed, failed = await _tried("TURN", config.turn, work, leaves)
    if relayed is None:
        return failed
    return Finding("TURN", "ok", f"{config.turn}: relays at {relayed[0]}:{relayed[1]}")


async def _allocated(
    host: str, port: int, tls: bool, transport: str, user: str | None, password: str | None
) -> tuple[str, int]:
    """The relay's address for us; given back at once."""
    gone = asyncio.get_running_loop().create_future()

    class Relayed(asyncio.DatagramProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            if not gone.done():
                gone.set_result(None)

    relay, _ = await turn.create_turn_endpoint(
        Relayed, (host, port), username=user, password=password, ssl=tls, transport=transport
    )
    address: tuple[str, int] = relay.get_extra_info("sockname")
    relay.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(gone, ANSWER_S)
    return address


async def _tried(
    name: str, url: str, work: Coroutine[Any, Any, tuple[str, int]], do: str
) -> tuple[tuple[str, int] | None, Finding]:
    """What ``work`` found; where it found nothing, what went wrong with it."""
    try:
        return await asyncio.wait_for(work, ANSWER_S), Finding(name, "ok", url)
    except (TimeoutError, stun.TransactionTimeout):
        what = "it does not answer"
    except stun.TransactionFailed as error:
        wrong = error.response.error_code in WRONG_CREDENTIALS
        what = "it refuses user name and password" if wrong else f"it refuses ({error})"
        do = "correct them" if wrong else "look at its configuration and its log"
    except socket.gaierror as error:
        what = error.strerror or "no such host"
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else type(error).__name__
    except ValueError as error:
        what = str(error)
    return None, Finding(name, "fail", f"{url}: {what}", do)


def _parts(url: str) -> tuple[str, str, int]:
    """Scheme, host and port; checked by the configuration before."""
    scheme, _, rest = url.partition("?")[0].partition(":")
    host, _, port = rest.partition(":")
    return scheme, host, int(port or (TLS_PORT if scheme.endswith("s") else STUN_PORT))


def public_ip(address: IPv4Address, seen: IPv4Address | None) -> Finding:
    """Compared with the address that a STUN server saw, where there is one."""
    if seen is not None and seen != address:
        do = f"give --public-ip {seen}, unless the server has several ways out"
        return Finding("public address", "fail", f"{address}, but the STUN server sees {seen}", do)
    if seen is not None:
        return Finding("public address", "ok", f"{address}, as the STUN server sees it")
    if not address.is_global:
        do = "give the address that the world sees; --stun HOST tells it"
        return Finding("public address", "fail", f"{address} is of a private network", do)
    return Finding("public address", "warn", f"{address}, not compared", "give --stun as well, to compare it")


def udp_ports(ports: range) -> Finding:
    """Whether they are free here; whether the firewall opens them only a visitor can tell."""
    taken = [port for port in ports if not _free(port)]
    span = f"{ports[0]}-{ports[-1]}"
    if len(taken) == len(ports):
        return Finding("UDP ports", "fail", f"{span}: none is free", "choose another range")
    if taken:
        shown = ", ".join(map(str, taken[:5])) + (", ..." if len(taken) > 5 else "")
        return Finding("UDP ports", "warn", f"{span}: {len(taken)} are taken ({shown})", "end what holds them")
    return Finding("UDP ports", "ok", f"{span}: all {len(ports)} are free")


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind(("", port))
        except OSError:
            return False
    return True


def certificate(cert: Path, key: Path) -> Finding:
    """Whether the two belong together, and until when and for what names browsers take the certificate."""
    try:
        size_of_plain_file(cert.stat())
        leaf = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    except (OSError, ValueError) as error:
        return _unread(cert, error, "give a certificate in PEM, the server's own first")
    try:
        size_of_plain_file(key.stat())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except TypeError:
        return Finding("certificate", "fail", f"{key} has a passphrase", f"take it off: openssl pkey -in {key}")
    except (OSError, ValueError) as error:
        return _unread(key, error, "give its private key in PEM")
    if leaf.public_key() != private.public_key():
        return Finding("certificate", "fail", f"{key} is not the key of {cert}", "give the key it was made with")
    return _dated(cert, leaf)


def _unread(path: Path, error: Exception, do: str) -> Finding:
    reason = getattr(error, "strerror", None) or "it is no PEM"
    return Finding("certificate", "fail", f"cannot read {path}: {reason}", do)


def _dated(cert: Path, leaf: x509.Certificate) -> Finding:
    now = datetime.datetime.now(datetime.UTC)
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now > ends:
        return Finding("certificate", "fail", f"{cert} has expired on {ends:%Y-%m-%d}", "renew it")
    if now < begins:
        return Finding("certificate", "fail", f"{cert} begins on {begins:%Y-%m-%d}", "check this machine's clock")
    names = _names(leaf)
    detail = f"for {', '.join(names)} until {ends:%Y-%m-%d}"
    if not names:
        return Finding("certificate", "fail", f"{cert} names no host", "have one made with a subjectAltName")
    if ends - now < SOON:
        return Finding("certificate", "warn", detail, "renew it soon")
    return Finding("certificate", "ok", detail)


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
