"""From PEM files to server contexts, found by the name a client asks for.

Reads files and makes keys of them, so it blocks: at the start, or on a worker thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import idna
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger

from mailframe.errors import MailframeError

log = Logger()
ForName = Callable[[bytes | None], SSL.Context | None]
Stamp = tuple[tuple[int, ...], ...]


class CertificateError(MailframeError):
    """A certificate or key cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One certificate with its chain and key, ready to serve."""

    path: str
    stamp: Stamp
    """Of the files it came from; when that changes they are read again."""
    names: tuple[str, ...]
    """A-labels in lower case; the first label may be ``*``."""
    expires: float
    """Seconds since the epoch."""
    context: SSL.Context


@dataclass(frozen=True, slots=True)
class CertificateSet:
    """All that were read. Immutable: a reload makes a new one."""

    loaded: tuple[Loaded, ...]
    default: Loaded
    """For clients that name no server, or one that nobody here has a certificate for."""
    stamps: dict[str, Stamp] = field(default_factory=dict)
    """Of the last look at each file, also of those that were bad."""

    def choose(self, server_name: bytes | None) -> SSL.Context:
        """RFC 6066 section 3: exactly that name, else a wildcard for its first label."""
        name = (server_name or b"").decode("ascii", "replace").lower().rstrip(".")
        parent = name.partition(".")[2]
        for wanted in (name, f"*.{parent}" if parent else ""):
            for one in self.loaded:
                if wanted and wanted in one.names:
                    return one.context
        return self.default.context


class CertificateFiles:
    """One certificate: ``certificate`` holds it and its chain, ``key`` the key; without
    ``key`` both are in the one file."""

    def __init__(self, certificate: str, key: str = "") -> None:
        self._certificate = certificate
        self._key = key or certificate

    def read(self, known: CertificateSet | None, for_name: ForName) -> CertificateSet:
        """The same object when nothing changed. Raises CertificateError only when there is
        none to keep."""
        found = _renewed([(self._certificate, self._key)], known, for_name)
        return (
            found if found is known else CertificateSet(found.loaded, found.loaded[0], found.stamps)
        )


class CertificateDirectory:
    """One PEM file a name (``*.pem``: key, certificate and chain together); the file's own
    name counts beside the names in the certificate. ``hostname`` picks the default."""

    def __init__(self, directory: str, hostname: str = "") -> None:
        self._directory = directory
        self._hostname = _a_label(hostname)

    def read(self, known: CertificateSet | None, for_name: ForName) -> CertificateSet:
        """As of ``CertificateFiles``; a file that is gone is forgotten."""
        try:
            names = sorted(name for name in os.listdir(self._directory) if name.endswith(".pem"))
        except OSError as error:
            raise CertificateError(f"{self._directory}: {error.strerror}") from error
        paths = [os.path.join(self._directory, name) for name in names]
        found = _renewed([(path, path) for path in paths], known, for_name)
        if found is known:
            return found
        own = (one for one in found.loaded if self._hostname in one.names)
        return CertificateSet(found.loaded, next(own, found.loaded[0]), found.stamps)


def _renewed(
    pairs: Iterable[tuple[str, str]], known: CertificateSet | None, for_name: ForName
) -> CertificateSet:
    """Read what changed, keep what did not, and what cannot be read any more."""
    before = {one.path: one for one in known.loaded} if known else {}
    loaded: list[Loaded] = []
    stamps: dict[str, Stamp] = {}
    problems: list[str] = []
    for path, key in pairs:
        kept = before.get(path)
        stamps[path] = _stamp(path, key)
        if known is not None and known.stamps.get(path) == stamps[path]:
            loaded += [kept] if kept else []
            continue
        try:
            loaded.append(_load(path, key, stamps[path], for_name))
        except (OSError, ValueError, TypeError, crypto.Error, SSL.Error) as error:
            problems.append(f"{getattr(error, 'filename', None) or path}: {_why(error)}")
            loaded += [kept] if kept else []
    if known is not None and stamps == known.stamps:
        return known
    if not loaded:
        raise CertificateError("; ".join(problems) or "there is no certificate")
    for problem in problems:
        log.warn("certificate not taken, the last good one stays: {problem}", problem=problem)
    return CertificateSet(tuple(loaded), loaded[0], stamps)


def _stamp(*paths: str) -> Stamp:
    found: list[tuple[int, ...]] = []
    for path in dict.fromkeys(paths):
        try:
            facts = os.stat(path)
            found.append((facts.st_mtime_ns, facts.st_size, facts.st_ino))
        except OSError:
            found.append(())
    return tuple(found)


def _load(path: str, key_path: str, stamp: Stamp, for_name: ForName) -> Loaded:
    with open(path, "rb") as file:
        chain = x509.load_pem_x509_certificates(file.read())
    with open(key_path, "rb") as file:
        key = load_pem_private_key(_key_part(file.read()), password=None)
    leaf, *rest = chain
    options = CertificateOptions(
        privateKey=key,  # type: ignore[arg-type]
        certificate=leaf,  # type: ignore[arg-type]
        extraCertChain=rest,  # type: ignore[arg-type]
        raiseMinimumTo=TLSVersion.TLSv1_2,
        enableSessionTickets=True,
        contextForServerName=for_name,
    )
    context = options.getContext()
    context.check_privatekey()
    names = dict.fromkeys([*_names(leaf), _a_label(os.path.basename(path).removesuffix(".pem"))])
    expires = leaf.not_valid_after_utc.timestamp()
    return Loaded(path, stamp, tuple(filter(None, names)), expires, context)


def _key_part(text: bytes) -> bytes:
    """The PEM block of the key alone: the certificates beside it are not its business."""
    end = text.find(b"PRIVATE KEY-----")
    begin = text.rfind(b"-----BEGIN", 0, max(end, 0))
    if begin < 0:
        raise ValueError("there is no private key in the file")
    return text[begin:]


def _names(certificate: x509.Certificate) -> list[str]:
    """The subject alternative names; the common name where there are none."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return [str(attribute.value).lower() for attribute in common]


def _a_label(name: str) -> str:
    if name.isascii():
        return name.lower()
    try:
        return idna.encode(name, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        return ""


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, (crypto.Error, SSL.Error)):
        return "the key does not belong to the certificate"
    return str(error) or type(error).__name__
