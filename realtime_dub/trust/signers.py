"""Who signs: this user's own key, one in a file, or a service that keeps the key to itself."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.paths import read_plain, reason
from realtime_dub.trust import certificate
from realtime_dub.trust.options import SigningOptions

MOST_PEM = 1_000_000  # bytes
MOST_SIGNATURE = 4096  # bytes
PATIENCE_S = 20.0  # for a service
TOKEN = "REALTIME_DUB_SIGNER_TOKEN"
HERE = ("localhost", "127.0.0.1", "::1")
# By the size of the curve: C2PA's name of the signature, and its hash.
CURVES: dict[int, tuple[str, hashes.HashAlgorithm]] = {
    256: ("ES256", hashes.SHA256()),
    384: ("ES384", hashes.SHA384()),
    521: ("ES512", hashes.SHA512()),
}


@dataclass(frozen=True, slots=True)
class Signs:
    """One who signs. ``sign`` takes bytes and gives the signature as COSE has it; ``chain`` is PEM."""

    algorithm: str
    chain: str
    sign: Callable[[bytes], bytes]
    tsa: str | None = None


def signer(options: SigningOptions) -> Signs:
    """Raises ConfigError for what cannot be used, MediaError where no own key can be made."""
    _check(options)
    if options.url is not None:
        assert options.cert is not None
        chain, public = _certificates(options.cert)
        return Signs(_algorithm(public, options.cert), chain, _Service(options.url, public), options.tsa)
    key_file, cert_file = (options.key, options.cert) if options.key and options.cert else certificate.own()
    chain, public = _certificates(cert_file)
    key = _key(key_file)
    if _public_bytes(key.public_key()) != _public_bytes(public):
        raise ConfigError(
            "not the key of", f"{cert_file}: {key_file}", "give the key that its certificate was made for"
        )
    return Signs(_algorithm(public, cert_file), chain, lambda data: _signed(key, data), options.tsa)


def _check(options: SigningOptions) -> None:
    if options.url is not None:
        if options.cert is None or options.key is not None:
            raise ConfigError("--signer needs", "--sign-cert alone", "the key stays with the service")
        _check_url(options.url, "--signer", https=True)
    elif (options.cert is None) != (options.key is None):
        raise ConfigError("give", "both --sign-cert and --sign-key", "or --signer with --sign-cert")
    if options.tsa is not None:
        _check_url(options.tsa, "--tsa", https=False)


def _check_url(url: str, option: str, https: bool) -> None:
    try:
        parts = urlsplit(url)
        port_is_number = parts.port is None or parts.port >= 0
    except ValueError:
        parts, port_is_number = urlsplit(""), False
    kinds = ("https", "http") if not https or parts.hostname in HERE else ("https",)
    if parts.scheme not in kinds or not parts.hostname or not port_is_number:
        raise ConfigError(f"cannot use {option}", repr(url), f"give an address that begins with {kinds[0]}://")


def _certificates(path: Path) -> tuple[str, Any]:
    """The chain, and the public key of its first. Raises ConfigError."""
    data = _read(path, "--sign-cert")
    try:
        chain = x509.load_pem_x509_certificates(data)
        if len(chain) < 2 and chain[0].issuer == chain[0].subject:
            raise ValueError("it is self-signed, and C2PA asks for one by an authority")
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain).decode(), chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable("--sign-cert", path, error, "give the chain in PEM, the signer's first") from error


def _key(path: Path) -> Any:
    try:
        return serialization.load_pem_private_key(_read(path, "--sign-key"), password=None)
    except TypeError as error:
        raise _unusable("--sign-key", path, ValueError("it is locked with a password"), "unlock it") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable("--sign-key", path, error, "give a private key in PEM") from error


def _read(path: Path, option: str) -> bytes:
    try:
        return read_plain(path, MOST_PEM)
    except (OSError, ValueError) as error:
        raise _unusable(option, path, error, "name a file in PEM") from error


def _unusable(option: str, path: Path, error: Exception, do: str) -> ConfigError:
    return ConfigError(f"cannot use {option}", f"{path}: {reason(error).partition('.')[0]}", do)


def _public_bytes(key: Any) -> bytes:
    coded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return coded


def _algorithm(public: Any, path: Path) -> str:
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.key_size in CURVES:
        return CURVES[public.curve.key_size][0]
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ED25519"
    if isinstance(public, rsa.RSAPublicKey):
        return "PS256"
    raise ConfigError("cannot sign with", f"the key of {path}", "use one on P-256, P-384, P-521 or Ed25519, or of RSA")


def _signed(key: Any, data: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _plain(key.sign(data, ec.ECDSA(CURVES[key.curve.key_size][1])), key.curve.key_size)
    if isinstance(key, rsa.RSAPrivateKey):
        whole = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
        return key.sign(data, whole, hashes.SHA256())
    signature: bytes = key.sign(data)
    return signature


def _plain(signature: bytes, bits: int) -> bytes:
    """COSE has both numbers one after the other, of one length."""
    size = (bits + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in utils.decode_dss_signature(signature))


class _Service:
    """Posts the bytes that are to be signed (a few hundred, no part of the film) and takes the signature back.

    It may answer in COSE's form or in that of X.509 (DER). What REALTIME_DUB_SIGNER_TOKEN holds is sent as a bearer
    token.
    """

    def __init__(self, url: str, public: Any) -> None:
        self._url, self._public = url, public

    def __call__(self, data: bytes) -> bytes:
        """Raises MediaError."""
        headers = {"Content-Type": "application/octet-stream"}
        if token := os.environ.get(TOKEN):
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self._url, data, headers, method="POST")
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=PATIENCE_S) as answer:
                signature = answer.read(MOST_SIGNATURE + 1)
        except (OSError, ValueError, HTTPException) as error:
            why = f"it answered {error.code}" if isinstance(error, urllib.error.HTTPError) else reason(_inner(error))
            raise MediaError("the signer", f"{urlsplit(self._url).hostname}: {why}", "check --signer") from error
        return self._in_cose(signature)

    def _in_cose(self, signature: bytes) -> bytes:
        if not 0 < len(signature) <= MOST_SIGNATURE:
            raise MediaError("the signer", f"answered {len(signature)} bytes, no signature", "check --signer")
        if isinstance(self._public, ec.EllipticCurvePublicKey):
            bits = self._public.curve.key_size
            if len(signature) != 2 * ((bits + 7) // 8):
                try:
                    return _plain(signature, bits)
                except (ValueError, OverflowError) as error:
                    raise MediaError("the signer", "answered what is no signature", "check --signer") from error
        return signature


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token is for the address that was given."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _inner(error: Exception) -> Exception:
    inner = getattr(error, "reason", None)
    return inner if isinstance(inner, Exception) else error
