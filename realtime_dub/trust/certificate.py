"""A certificate of this user's own, made on first use: it says that a file is unchanged, and nothing of who made it.

C2PA asks for a chain: the key that signs (ES256) has a certificate by an authority, whose own key is thrown away here.
Nobody else trusts that authority. Where the key lies, ``trust/keys`` says; it is for the user
alone to read.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from realtime_dub.errors import MediaError
from realtime_dub.paths import reason
from realtime_dub.trust import keys

KEY, CHAIN = "key.pem", "certificates.pem"
VALID_FOR = timedelta(days=3650)
CLOCK_MAY_BE_AHEAD = timedelta(hours=1)
CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")  # C2PA's own purpose of a key
ORGANISATION = "realtime-dub (self-made, proves no identity)"
_USES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def own() -> tuple[Path, Path]:
    """The key and its chain of certificates, made where there are none. Raises MediaError."""
    try:
        folder = keys.signing_folder()
        if not (folder / CHAIN).is_file():
            _make(folder)
    except (OSError, RuntimeError) as error:  # the latter where there is no home
        do = "set XDG_DATA_HOME, give --sign-cert and --sign-key, or --credentials off"
        raise MediaError("cannot make a key to sign with:", reason(error), do) from error
    return folder / KEY, folder / CHAIN


def _make(folder: Path) -> None:
    """Whole or not at all: another process may do the same at this moment, and only one of both stays."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = folder.with_name(f".new-{secrets.token_hex(8)}")
    new.mkdir(mode=0o700)
    try:
        key, chain = make_chain()
        _write(new / KEY, key)
        _write(new / CHAIN, chain)
        with contextlib.suppress(OSError):  # the other was there first
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def make_chain(valid_for: timedelta = VALID_FOR) -> tuple[bytes, bytes]:
    """A key, and the certificates of the key and of its authority, in PEM."""
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("authority", authority.public_key(), authority, valid_for, is_authority=True)
    leaf = _certificate("signer", key.public_key(), authority, valid_for, is_authority=False)
    plain = serialization.NoEncryption()
    coded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return coded, b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (leaf, root))


def _certificate(
    name: str,
    key: ec.EllipticCurvePublicKey,
    authority: ec.EllipticCurvePrivateKey,
    valid_for: timedelta,
    *,
    is_authority: bool,
) -> x509.Certificate:
    begins = datetime.now(UTC) - CLOCK_MAY_BE_AHEAD
    use = "key_cert_sign" if is_authority else "digital_signature"
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name("authority"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + valid_for)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(x509.KeyUsage(**{each: each == use for each in _USES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    if not is_authority:
        # Readers of before C2PA had a purpose of its own look for that of mail.
        purposes = x509.ExtendedKeyUsage([CLAIM_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(authority, hashes.SHA256())


def _name(of: str) -> x509.Name:
    """Nothing in it tells whose machine it is."""
    named = ((NameOID.ORGANIZATION_NAME, ORGANISATION), (NameOID.COMMON_NAME, f"realtime-dub {of}"))
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in named])


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
