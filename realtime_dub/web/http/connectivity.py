"""How visitors reach the server from elsewhere: its address, a token, https."""

from __future__ import annotations

import datetime
import secrets
import socket
import ssl
import tempfile
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from realtime_dub.errors import ConfigError
from realtime_dub.paths import size_of_plain_file
from realtime_dub.web.config import ServeConfig

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # no address that anybody can open, and one that this machine can


def address(config: ServeConfig, port: int) -> str:
    """Where to open the page, from as far as it can be reached; with the token if there is one."""
    return _address(config, _reached_at(config), port)


def greeting(config: ServeConfig, port: int) -> str:
    """What a person needs to know to open the page: a line each, the address first."""
    lines = [address(config, port)]
    if config.host in EVERYWHERE:
        lines.append(f"On this machine: {_address(config, EVERYWHERE[config.host], port)}")
    if not config.local and not config.secure:
        lines.append("Elsewhere browsers give camera and microphone to https only: "
                     "add --self-signed, or put a proxy with TLS in front.")  # fmt: skip
    return "\n".join(lines)


def shared(config: ServeConfig, port: int) -> dict[str, str] | None:
    """What a link for others is made of; None where nobody else can reach the server."""
    if config.local:
        return None
    return {"address": address(config.model_copy(update={"token": None}), port)}


def _address(config: ServeConfig, host: str, port: int) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"http{'s' if config.secure else ''}://{host}:{port}/" + (f"?token={config.token}" if config.token else "")


def _reached_at(config: ServeConfig) -> str:
    """The host under which others find the server."""
    if config.host not in EVERYWHERE:
        return config.host
    if config.public_ip is not None:
        return str(config.public_ip)
    return own_address(six=":" in config.host) or EVERYWHERE[config.host]


def own_address(six: bool = False) -> str | None:
    """This machine's, towards the world; None without a network. Nothing is sent."""
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(("2001:db8::1" if six else "192.0.2.1", 9))  # of no machine, but on the way out
        except OSError:
            return None
        found: str = probe.getsockname()[0]
    return found


def with_token(config: ServeConfig) -> ServeConfig:
    """A server that others can reach has a token: one is made where none is given."""
    if config.local or config.token is not None:
        return config
    return config.model_copy(update={"token": secrets.token_urlsafe(18)})


def tls_context(config: ServeConfig) -> ssl.SSLContext | None:
    """Blocking. None without TLS. Raises ConfigError for a certificate that cannot be used."""
    if not config.secure:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        if config.tls_cert is not None and config.tls_key is not None:
            for path in (config.tls_cert, config.tls_key):
                size_of_plain_file(path.stat())
            context.load_cert_chain(config.tls_cert, config.tls_key)
        else:
            _load_self_signed(context, _reached_at(config))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "it does not fit its key"
        advice = "give a PEM certificate and its key"
        raise ConfigError("cannot use the certificate", f"{config.tls_cert}: {reason}", advice) from None
    return context


def _load_self_signed(context: ssl.SSLContext, host: str) -> None:
    """A key of this run that is on disk only while it is loaded."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "realtime-dub")])
    names = dict.fromkeys(("localhost", "127.0.0.1", host))
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        path = Path(folder) / "both.pem"
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(path)


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
