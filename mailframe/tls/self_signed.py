"""A self-signed certificate, for ``mailframe dev --tls``."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailframe.runtime.disk import Disk, new_file

_DAYS = 397  # what browsers and Apple's mail programs still take
_RENEW_DAYS = 30


def make_self_signed(names: Sequence[str], now: float) -> bytes:
    """PEM of key and certificate (EC P-256) for these host names and IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    begin = datetime.datetime.fromtimestamp(now, datetime.UTC) - datetime.timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(_usage(), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def ensure_self_signed(directory: str, names: Sequence[str], now: float, disk: Disk) -> str:
    """The path of ``directory/FIRST-NAME.pem``, made where it is missing or about to expire.
    Blocks."""
    path = os.path.join(directory, f"{names[0]}.pem")
    if _is_good(path, now, disk):
        return path
    disk.make_directories(directory)
    beside = f"{path}.new"
    if disk.exists(beside):
        disk.unlink(beside)  # of a start that was cut off
    with new_file(disk, beside) as file:
        file.write(make_self_signed(names, now))
        file.sync()
    disk.rename(beside, path)
    disk.sync_directory(directory)
    return path


def _is_good(path: str, now: float, disk: Disk) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(disk.read(path))
    except (OSError, ValueError):
        return False
    left = certificate.not_valid_after_utc.timestamp() - now
    return left > _RENEW_DAYS * 86400


def _usage() -> x509.KeyUsage:
    """It signs handshakes, and itself: strict verifiers want both said."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
