"""Taking a report out of its zip or gzip, without letting it grow without end.

What a file is called and what type it claims does not matter: the first octets tell. Blocks; for
workers. Everything is refused that is no single plain file: archives in archives, encrypted
archives, methods other than deflate, more than expands to ``most`` octets, or ``ratio`` times what
is packed. A zip that is lying about its sizes is measured while it expands.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass

from mailframe.reports.aggregate import ReportRefused

_PIECE = 64 * 1024
_ZIPS, _GZIP = (b"PK\x03\x04", b"PK\x05\x06"), b"\x1f\x8b"
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_MAX_MEMBERS = 100  # entries of a zip's directory
_MAX_STREAMS = 16  # gzip files one behind the other


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    packed: int = 10 << 20
    """Octets of an attachment."""
    most: int = 50 << 20
    """Octets of the report itself."""
    ratio: int = 200
    """How many times larger it may become; XML with many rows reaches 60."""


def is_packed(octets: bytes) -> bool:
    return octets.startswith((*_ZIPS, _GZIP))


def looks_like_xml(octets: bytes) -> bool:
    start = octets[:200]
    for mark in _BOMS:
        start = start.removeprefix(mark)
    return start.replace(b"\0", b"").lstrip().startswith(b"<")


def unpack(octets: bytes, limits: UnpackLimits = UnpackLimits()) -> bytes:
    """The XML. Raises ReportRefused."""
    if len(octets) > limits.packed:
        raise ReportRefused(f"the attachment has more than {limits.packed} octets")
    if not is_packed(octets):
        return octets
    most = min(limits.most, max(limits.ratio * len(octets), _PIECE))
    found = _unzipped(octets, most) if octets.startswith(_ZIPS) else _gunzipped(octets, most)
    # a member that does not look like XML need not be parsed to know what it is
    if is_packed(found):
        raise ReportRefused("an archive in an archive")
    return found


def _unzipped(octets: bytes, most: int) -> bytes:
    try:
        archive = zipfile.ZipFile(io.BytesIO(octets))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ReportRefused(f"a broken zip: {error}") from error
    with archive:
        entries = archive.infolist()
        if len(entries) > _MAX_MEMBERS:
            raise ReportRefused(f"a zip of {len(entries)} files")
        files = [entry for entry in entries if not entry.is_dir()]
        # macOS adds its own
        named = [entry for entry in files if not entry.filename.startswith("__MACOSX/")]
        if len(named) != 1:
            raise ReportRefused(f"a zip of {len(named)} files, not one")
        return _member(archive, named[0], most)


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    if entry.flag_bits & 0x1:
        raise ReportRefused("an encrypted zip")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ReportRefused(f"a zip with method {entry.compress_type}")
    if entry.file_size > most:
        raise ReportRefused(_too_large(most))
    try:
        with archive.open(entry) as file:
            # one more than allowed is enough to know
            found = file.read(most + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError,
            RuntimeError) as error:  # fmt: skip
        raise ReportRefused(f"a broken zip: {error}") from error
    if len(found) > most:
        raise ReportRefused(_too_large(most))
    return found


def _gunzipped(octets: bytes, most: int) -> bytes:
    pieces: list[bytes] = []
    length = 0
    rest = octets
    for _ in range(_MAX_STREAMS):
        stream = zlib.decompressobj(wbits=31)
        while rest and not stream.eof:
            try:
                piece = stream.decompress(rest, _PIECE)
            except zlib.error as error:
                raise ReportRefused(f"a broken gzip: {error}") from error
            rest = stream.unconsumed_tail
            pieces.append(piece)
            length += len(piece)
            if length > most:
                raise ReportRefused(_too_large(most))
        if not stream.eof:
            raise ReportRefused("a gzip that breaks off")
        rest = stream.unused_data
        # padding and rubbish behind it are common
        if not rest.startswith(_GZIP):
            return b"".join(pieces)
    raise ReportRefused("a gzip of many files")


def _too_large(most: int) -> str:
    return f"unpacks to more than {most} octets"
