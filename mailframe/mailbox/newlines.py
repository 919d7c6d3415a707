"""Line endings of stored messages: CRLF on the wire, LF on disk.

Maildir's readers (mutt, procmail, Dovecot) expect LF. One rule each way:

* to disk, a CRLF becomes LF, unless a CR stands before it: CR CR LF stays as it is;
* to wire, a LF that no CR precedes becomes CRLF; everything else stays as it is.

So whatever has only CRLF line ends, lone CRs included, comes back octet for octet. A lone
LF comes back as CRLF: a mailbox holds lines, and content that has lone LFs (BINARYMIME) is
encoded before it comes here.
Both work on chunks cut anywhere.
"""

from __future__ import annotations

CRLF = b"\r\n"


class ToDisk:
    """Wire format in, disk format out; counts what a reader will see on the wire."""

    def __init__(self) -> None:
        self.disk_size = 0
        """Octets given out so far."""
        self.wire_size = 0
        """Octets those will be again in wire format."""
        self._held = b""  # a final CR, of which only the next chunk tells what it is
        self._after_cr = False  # whether the octet before the held one is a CR

    def feed(self, chunk: bytes) -> bytes:
        data = self._held + chunk
        self._held = b"\r" if data.endswith(b"\r") else b""
        return self._convert(data[:-1] if self._held else data)

    def finish(self) -> bytes:
        """What was held back, once nothing more follows."""
        held, self._held = self._held, b""
        return self._account(held)

    def _convert(self, data: bytes) -> bytes:
        if not data:
            return b""
        disk = data.replace(b"\r", b"")
        if not self._after_cr and disk.replace(b"\n", b"\r\n") == data:
            # Nothing but CRLF, as nearly always. To take out single octets, and to put them back
            # to see that, takes a fifth of the time of looking for pairs.
            self.disk_size += len(disk)
            self.wire_size += len(data)
            return disk
        return self._account(self._convert_any(data))

    def _convert_any(self, data: bytes) -> bytes:
        head = b""
        if self._after_cr and data.startswith(b"\r\n"):
            head, data = data[:2], data[2:]
        self._after_cr = data.endswith(b"\r")
        # The second replacement restores the CR CR LF that the first one touched.
        return head + data.replace(b"\r\n", b"\n").replace(b"\r\n", b"\r\r\n")

    def _account(self, disk: bytes) -> bytes:
        # A CR never ends one piece with its LF in the next, hence counting by piece is exact.
        self.disk_size += len(disk)
        self.wire_size += wire_size(disk)
        return disk


class ToWire:
    """Disk format in, wire format out."""

    def __init__(self) -> None:
        self._after_cr = False

    def feed(self, chunk: bytes) -> bytes:
        if not chunk:
            return b""
        head = b""
        if self._after_cr and chunk.startswith(b"\n"):
            head, chunk = chunk[:1], chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        return head + to_wire(chunk)


def to_wire(data: bytes) -> bytes:
    """A whole message in wire format."""
    if b"\r" in data:  # hardly ever, and to look for one octet takes no time
        data = data.replace(b"\r\n", b"\n")
    return data.replace(b"\n", b"\r\n")


def wire_size(data: bytes) -> int:
    """Octets of ``to_wire(data)``."""
    return len(data) + data.count(b"\n") - data.count(b"\r\n")


class WireCounter:
    """``wire_size`` over chunks."""

    def __init__(self) -> None:
        self.size = 0
        self._after_cr = False

    def feed(self, chunk: bytes) -> None:
        self.size += wire_size(chunk)
        if self._after_cr and chunk.startswith(b"\n"):
            self.size -= 1
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
